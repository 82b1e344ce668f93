import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { dialBackoffMs } from './backoff.js';

const latest = 1 - 2 ** -53;

test('the window doubles from 1 s to 60 s, and any time in it is possible', () => {
  const windows = Array.from({ length: 9 }, (_, failures) => dialBackoffMs(failures, false, latest));
  assert.deepEqual(
    windows,
    [1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000),
  );
  assert.equal(dialBackoffMs(5, false, 0), 0);
  assert.equal(dialBackoffMs(3, false, 0.25), 2_000);
  fc.assert(
    fc.property(
      fc.nat(),
      fc.boolean(),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (failures, lost, random) => {
        const wait = dialBackoffMs(failures, lost, random);
        assert.ok(Number.isInteger(wait) && wait >= 0 && wait <= 60_000);
      },
    ),
  );
});

test('after a connection that lasted it begins with 10 s, enough for the handshakes of 2,000 guests', () => {
  const windows = Array.from({ length: 5 }, (_, failures) => dialBackoffMs(failures, true, latest));
  assert.deepEqual(
    windows,
    [10, 20, 40, 60, 60].map((seconds) => seconds * 1_000),
  );
  const handshakeMs = 2.5;
  assert.ok(2_000 * handshakeMs <= dialBackoffMs(0, true, latest) / 2);
});
