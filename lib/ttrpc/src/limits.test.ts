import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeLimits } from './limits.js';

test('the defaults match the documentation', () => {
  assert.deepEqual(
    { ...completeLimits() },
    {
      maxFrameBytes: 4_194_304,
      requestsPerConnection: 1024,
      requestFields: 20_000,
      requestDepth: 100,
      frameTimeoutMs: 10_000,
      streamBufferBytes: 1_048_576,
      writeBufferBytes: 1_048_576,
    },
  );
});

test('given limits are kept, missing ones get defaults, and the result is frozen', () => {
  const limits = completeLimits({ requestsPerConnection: 3 });
  assert.equal(limits.requestsPerConnection, 3);
  assert.equal(limits.requestDepth, 100);
  assert.ok(Object.isFrozen(limits));
});

test('an error for a limit out of bounds names the limit, its value and the bounds', () => {
  assert.throws(
    () => completeLimits({ maxFrameBytes: 5_000_000 }),
    /maxFrameBytes is 5000000; use .* 1024 to 4194304/,
  );
  assert.throws(() => completeLimits({ requestDepth: 1.5 }), RangeError);
  assert.throws(() => completeLimits({ frameTimeoutMs: Number.NaN }), RangeError);
  assert.throws(
    () => completeLimits(JSON.parse('{"requestField": 1}')),
    /unknown limit requestField; known: /,
  );
});
