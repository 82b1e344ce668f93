import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameMemory } from './frame-memory.js';

const mebibyte = 2 ** 20;

/** Returns the room of a whole frame. */
function roomFor(memory: FrameMemory, bytes: number): Buffer {
  return memory.room(bytes, bytes);
}

test('memory that was given back is used by the next large frame, and views of it are empty', () => {
  const memory = new FrameMemory();
  const first = roomFor(memory, mebibyte + 10);
  first.fill(7);
  const [view, address] = [new Uint8Array(first.buffer, 10, 5), first.length];
  memory.giveBack(first);
  assert.deepEqual([first.length, view.length], [0, 0]);
  const second = roomFor(memory, mebibyte + 3000);
  assert.equal(second.length, address);
  assert.equal(second[12], 7, 'the same memory');
  assert.notEqual(roomFor(memory, mebibyte)[12], 7, 'used by one frame at a time');
});

test('memory that is too small is not used, and small frames neither give nor take any', () => {
  const memory = new FrameMemory();
  memory.giveBack(roomFor(memory, mebibyte));
  assert.ok(roomFor(memory, 2 * mebibyte).length >= 2 * mebibyte);
  assert.equal(roomFor(memory, 1000).length, 1000);
  const small = roomFor(memory, 1000);
  memory.giveBack(small);
  assert.equal(small.length, 1000);
});

test('room grows with the bytes that have arrived, not with the declared length', () => {
  const memory = new FrameMemory();
  assert.equal(memory.room(4 * mebibyte, 10).length, 4096);
  assert.equal(memory.room(4 * mebibyte, 65_536).length, mebibyte / 2);
  assert.equal(memory.room(4 * mebibyte, mebibyte).length, 4 * mebibyte);
});

test('memory that is not used again for ten seconds is released', ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const memory = new FrameMemory();
  const first = roomFor(memory, mebibyte);
  first.fill(7);
  memory.giveBack(first);
  mock.timers.tick(10_000);
  assert.notEqual(roomFor(memory, mebibyte)[12], 7);
});
