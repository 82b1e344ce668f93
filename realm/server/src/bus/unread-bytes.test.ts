import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnreadBytes } from './unread-bytes.js';

function read(unread: UnreadBytes): Buffer {
  const chunks: Buffer[] = [];
  for (let chunk = unread.take(); chunk !== undefined; chunk = unread.take()) chunks.push(chunk);
  assert.equal(unread.size, 0);
  return Buffer.concat(chunks);
}

test('single bytes take few chunks, and all bytes keep their order', () => {
  const unread = new UnreadBytes();
  for (let index = 0; index < 262_144; index += 1) unread.add(Buffer.from([index % 251]));
  assert.equal(unread.size, 262_144);
  assert.ok(unread.chunks < 40, String(unread.chunks));
  assert.deepEqual(read(unread), Buffer.from(Array.from({ length: 262_144 }, (_, index) => index % 251)));
});

test('chunks of any sizes are few, and none is larger than it must be', () => {
  for (const size of [
    (index: number) => 1 + (index % 7),
    // Each smaller than the one before.
    (index: number) => 700 - (index % 700),
    (index: number) => (index % 2 === 0 ? 1 : 65_536),
    (index: number) => 1 + ((index * 7_919) % 4_096),
  ]) {
    const unread = new UnreadBytes();
    const all: Buffer[] = [];
    for (let index = 0; unread.size < 262_144 - 65_536; index += 1) {
      const bytes = Buffer.alloc(size(index), index % 253);
      all.push(bytes);
      unread.add(bytes);
    }
    assert.ok(unread.chunks < 800, String(unread.chunks));
    assert.deepEqual(read(unread), Buffer.concat(all));
  }
});
