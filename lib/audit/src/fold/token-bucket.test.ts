import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenBucket } from './token-bucket.js';

const second = 1_000_000_000n;

test('allows a burst, then a rate per second, and never exceeds the capacity', () => {
  const bucket = new TokenBucket(3, 2, 0n);
  const take = (now: bigint): number => {
    let taken = 0;
    while (bucket.take(now)) taken += 1;
    return taken;
  };
  assert.equal(take(0n), 3);
  assert.equal(take(second / 2n - 1n), 0);
  assert.equal(take(second / 2n), 1);
  assert.equal(take((3n * second) / 2n), 2);
  assert.equal(take(1000n * second), 3);
});
