import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Backoff } from './backoff.js';

test('the window doubles with each failure up to the last one, and is the first again after success', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000 }),
      fc.integer({ min: 1, max: 100 }),
      fc.array(fc.boolean(), { maxLength: 40 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (firstMs, factor, failures, random) => {
        const lastMs = firstMs * factor;
        const backoff = new Backoff({ firstMs, lastMs, random: () => random });
        let window = firstMs;
        for (const fails of failures) {
          if (fails) {
            assert.equal(backoff.failed(), Math.ceil(random * window));
            window = Math.min(lastMs, 2 * window);
          } else {
            backoff.succeeded();
            window = firstMs;
          }
        }
      },
    ),
  );
});

test('a wait ends with the signal, and there is none before a failure or after success', async () => {
  const backoff = new Backoff({ firstMs: 3_600_000, lastMs: 3_600_000, random: () => 0.9 });
  const { signal } = new AbortController();
  await backoff.wait(signal);
  backoff.failed();
  await assert.rejects(backoff.wait(AbortSignal.timeout(1)), { name: 'AbortError' });
  await assert.rejects(backoff.wait(AbortSignal.abort()), { name: 'AbortError' });
  backoff.succeeded();
  await backoff.wait(signal);
});
