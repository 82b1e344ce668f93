import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Coverage } from './coverage.js';

test('the period begins with the first record, and ends when all are covered', () => {
  const coverage = new Coverage(6_400);
  assert.equal(coverage.ageMs(5_000), undefined);
  coverage.written(1, 10_000);
  assert.equal(coverage.ageMs(10_000), 0);
  coverage.written(5, 12_000);
  assert.equal(coverage.ageMs(13_000), 3_000);
  coverage.covered(1);
  assert.equal(coverage.ageMs(13_000), 1_000);
  coverage.covered(5);
  assert.equal(coverage.ageMs(13_000), undefined);
  // A log without new records is never overdue.
  assert.equal(coverage.ageMs(1e9), undefined);
  coverage.written(6, 1e9);
  assert.equal(coverage.ageMs(1e9 + 1), 1);
});

test('an older cosigned tree changes nothing, and calls without new records neither', () => {
  const coverage = new Coverage(1_000);
  coverage.written(10, 0);
  coverage.covered(9);
  coverage.written(10, 500);
  coverage.covered(3);
  assert.equal(coverage.ageMs(600), 600);
});

test('no age is too low, none is too high by more than a part of the period, and memory is bounded', () => {
  const step = fc.record({
    waits: fc.nat(300),
    records: fc.nat(3),
    covers: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 12 }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 400 }), (steps) => {
      const coverage = new Coverage(6_400);
      const times: number[] = [];
      let [now, covered] = [0, 0];
      for (const { waits, records, covers } of steps) {
        now += waits;
        for (let n = 0; n < records; n += 1) times.push(now);
        coverage.written(times.length, now);
        if (covers !== null) {
          covered = Math.max(covered, Math.floor(covers * times.length));
          coverage.covered(covered);
        }
        const oldest = times[covered];
        const age = coverage.ageMs(now);
        assert.equal(age === undefined, oldest === undefined);
        if (oldest === undefined || age === undefined) continue;
        assert.ok(age >= now - oldest, `${age} ${now - oldest}`);
        // After 256 parts without a quorum times become coarse: all of them are long overdue.
        if (now - oldest <= 6_400)
          assert.ok(age <= now - oldest + 100 || age > 6_400 * 2, `${age} ${now - oldest}`);
      }
    }),
  );
});
