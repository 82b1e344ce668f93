import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Frame, frameData, FrameReader, OversizedFrame } from './frame.js';
import { rawFrame } from '../raw-peer.test.fixture.js';

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u8 = fc.integer({ min: 0, max: 255 });
const frames = fc.array(fc.tuple(u32, u8, u8, fc.uint8Array({ maxLength: 6000, size: 'max' })), {
  maxLength: 8,
});

function plain(frame: Frame): unknown[] {
  return [frame.streamId, frame.type, frame.flags, frameData(frame)];
}

function drain(reader: FrameReader): unknown[][] {
  const out: unknown[][] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) out.push(plain(frame));
  return out;
}

test('frames are read back unchanged for any split of the bytes', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1 }), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map((frame) => rawFrame(...frame)));
      const reader = new FrameReader(2 ** 22);
      const got: unknown[][] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = cuts[turn % cuts.length] as number;
        reader.push(Buffer.from(bytes.subarray(at, at + size)));
        got.push(...drain(reader));
        at += size;
      }
      assert.deepEqual(
        got,
        sent.map(([id, type, flags, data]) => [id, type, flags, new Uint8Array(data)]),
      );
      assert.equal(reader.begun, false);
    }),
    { numRuns: 300 },
  );
});

test('bytes that are copied may be overwritten, also while frames are left for later', () => {
  const piece = fc.record({
    size: fc.integer({ min: 1, max: 9000 }),
    copied: fc.boolean(),
    read: fc.boolean(),
  });
  fc.assert(
    fc.property(frames, fc.array(piece, { minLength: 1 }), (sent, pieces) => {
      const bytes = Buffer.concat(sent.map((frame) => rawFrame(...frame)));
      const reader = new FrameReader(2 ** 22);
      const memory = new Uint8Array(9000);
      const got: unknown[][] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const { size, copied, read } = pieces[turn % pieces.length] as (typeof pieces)[number];
        const part = bytes.subarray(at, at + size);
        if (copied) {
          memory.set(part);
          reader.copy(memory.subarray(0, part.length));
          memory.fill(0xee);
        } else reader.push(Buffer.from(part));
        if (read) got.push(...drain(reader));
        at += size;
      }
      if (reader.pending) got.push(...drain(reader));
      assert.deepEqual(
        got,
        sent.map(([id, type, flags, data]) => [id, type, flags, new Uint8Array(data)]),
      );
      assert.equal(reader.begun, false);
      assert.equal(reader.pending, false);
    }),
    { numRuns: 300 },
  );
});

test('byte by byte, a frame has begun from its first byte to its last', () => {
  const bytes = rawFrame(7, 1, 0, Uint8Array.of(1, 2, 3));
  const reader = new FrameReader(1024);
  for (const [index, byte] of bytes.entries()) {
    reader.push(Buffer.from([byte]));
    const frame = reader.next();
    assert.equal(frame !== undefined, index === bytes.length - 1);
    assert.equal(reader.begun, frame === undefined);
  }
});

test('chunks may be pushed before earlier ones were read', () => {
  const reader = new FrameReader(1024);
  reader.push(rawFrame(1, 1, 0, Uint8Array.of(1)));
  assert.equal(reader.pending, true);
  reader.push(rawFrame(3, 1, 0, Uint8Array.of(2)));
  assert.deepEqual(
    drain(reader).map(([id]) => id),
    [1, 3],
  );
  assert.equal(reader.pending, false);
});

test('a declared length over the limit is an error with the stream id, for a whole or split header', () => {
  const header = rawFrame(9, 1, 0, new Uint8Array(0));
  header.writeUInt32BE(2 ** 31, 0);
  const expected = (error: unknown): boolean => error instanceof OversizedFrame && error.streamId === 9;
  const whole = new FrameReader(1024);
  whole.push(header);
  assert.throws(() => whole.next(), expected);
  const split = new FrameReader(1024);
  split.push(header.subarray(0, 4));
  assert.equal(split.next(), undefined);
  split.push(header.subarray(4));
  assert.throws(() => split.next(), expected);
});

test('views of earlier frames keep their bytes', () => {
  const reader = new FrameReader(1 << 20);
  const first = rawFrame(1, 3, 0, new Uint8Array(9000).fill(1));
  const second = rawFrame(1, 3, 0, new Uint8Array(9000).fill(2));
  const bytes = Buffer.concat([first, second]);
  reader.push(bytes.subarray(0, 5000));
  assert.equal(reader.next(), undefined);
  reader.push(bytes.subarray(5000));
  const one = reader.next();
  const two = reader.next();
  assert.ok(one !== undefined && two !== undefined);
  assert.ok(frameData(one).every((byte) => byte === 1));
  assert.ok(frameData(two).every((byte) => byte === 2));
});
