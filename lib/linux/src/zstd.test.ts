import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { ZstdDecoder } from './index.js';

function compress(input: Buffer, ...options: readonly string[]): Buffer {
  return execFileSync('zstd', ['-q', '-c', ...options], { input, maxBuffer: 2 ** 28 });
}

/** Decompresses in pieces of this size. */
function decompress(blob: Buffer, piece: number, windowLog = 27): Buffer {
  const decoder = new ZstdDecoder(windowLog);
  try {
    const parts: Buffer[] = [];
    for (let at = 0; at < blob.length; at += piece) {
      for (const part of decoder.decode(blob.subarray(at, at + piece))) parts.push(Buffer.from(part));
    }
    decoder.end();
    return Buffer.concat(parts);
  } finally {
    decoder.close();
    decoder.close();
  }
}

test('frames are decompressed in pieces of any size', () => {
  const noise = randomBytes(300_000);
  const inputs = [
    Buffer.alloc(0),
    Buffer.from('x'),
    noise,
    Buffer.alloc(5_000_000, 'abc'),
    Buffer.concat([noise, noise]),
  ];
  for (const input of inputs) {
    const blob = compress(input);
    for (const piece of [1000, 65_536, blob.length + 1]) assert.ok(decompress(blob, piece).equals(input));
  }
  const two = Buffer.concat([compress(noise), compress(Buffer.from('end'))]);
  assert.ok(decompress(two, 10_000).equals(Buffer.concat([noise, Buffer.from('end')])));
});

test('cut and damaged streams, and windows that are too large, are errors', () => {
  const blob = compress(randomBytes(100_000));
  assert.throws(() => decompress(blob.subarray(0, -1), 4096), { name: 'ZstdError' });
  assert.throws(() => decompress(Buffer.alloc(0), 4096), { name: 'ZstdError' });
  assert.throws(() => decompress(Buffer.concat([blob, Buffer.from('garbage')]), 4096), { name: 'ZstdError' });
  const damaged = Buffer.from(blob);
  damaged[0] = 0;
  assert.throws(() => decompress(damaged, 4096), { name: 'ZstdError' });
  const wide = compress(Buffer.alloc(40_000_000, 'abcdefg'), '--long=25');
  assert.throws(() => decompress(wide, 4096, 20), { name: 'ZstdError' });
  assert.equal(decompress(wide, 4096, 25).length, 40_000_000);
});
