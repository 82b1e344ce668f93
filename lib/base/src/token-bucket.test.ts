import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { TokenBucket } from './token-bucket.js';

test('a burst, then the rate: in any time no more than the burst and what the rate gives in it', () => {
  const steps = fc.array(fc.double({ min: 0, max: 5_000, noNaN: true }), { maxLength: 60 });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 50 }),
      steps,
      (burst, perSecond, waits) => {
        const bucket = new TokenBucket({ burst, perSecond }, 0);
        const taken: number[] = [];
        let now = 0;
        for (const wait of waits) {
          now += wait;
          while (bucket.take(now)) taken.push(now);
        }
        for (const [first, begin] of taken.entries())
          for (const [last, end] of taken.entries())
            if (last >= first)
              assert.ok(
                last - first + 1 <= burst + ((end - begin) / 1_000) * perSecond + 1e-6,
                `${begin} to ${end}`,
              );
      },
    ),
  );
});

test('it is available after the time that it names, and not before', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 1_000 }), (burst, perSecond) => {
      const bucket = new TokenBucket({ burst, perSecond }, 0);
      while (bucket.take(0));
      const wait = bucket.waitMs(0);
      assert.equal(bucket.take(wait - 1), false);
      assert.equal(bucket.take(wait), true);
    }),
  );
});

test('time that goes back gives nothing', () => {
  const bucket = new TokenBucket({ burst: 1, perSecond: 1 }, 10_000);
  assert.equal(bucket.take(10_000), true);
  assert.equal(bucket.take(0), false);
  assert.equal(bucket.take(10_999), false);
  assert.equal(bucket.take(11_000), true);
});
