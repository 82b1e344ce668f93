import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { backoffMs } from './backoff.js';

test('the window doubles from 1 s to 60 s, and any time in it is possible', () => {
  const windows = Array.from({ length: 9 }, (_, failures) => backoffMs(failures, 1 - 2 ** -53));
  assert.deepEqual(
    windows,
    [1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000),
  );
  assert.equal(backoffMs(5, 0), 0);
  assert.equal(backoffMs(3, 0.25), 2_000);
  fc.assert(
    fc.property(
      fc.nat(),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (failures, random) => {
        const wait = backoffMs(failures, random);
        assert.ok(Number.isInteger(wait) && wait >= 0 && wait <= 60_000);
      },
    ),
  );
});
