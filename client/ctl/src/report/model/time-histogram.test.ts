import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimeHistogram } from './time-histogram.js';

test('intervals are of one second at first, with those without calls', () => {
  const histogram = new TimeHistogram();
  histogram.add(5_300, 1, 0);
  histogram.add(3_000, 2, 1);
  histogram.add(5_999, 1, 1);
  assert.deepEqual(histogram.intervals, [
    { from: 3_000, to: 4_000, calls: 2, denied: 1 },
    { from: 4_000, to: 5_000, calls: 0, denied: 0 },
    { from: 5_000, to: 6_000, calls: 2, denied: 1 },
  ]);
});

test('a range of any size has at most 120 intervals, and loses no call', () => {
  for (const times of [
    [0, 8.64e15],
    [-8.64e15, 8.64e15],
    [1.7e12, 0, 5],
    Array.from({ length: 5_000 }, (_, n) => n * 7_919),
  ]) {
    const histogram = new TimeHistogram();
    for (const time of times) histogram.add(time, 1, 1);
    const { intervals } = histogram;
    assert.ok(intervals.length <= 120, String(intervals.length));
    assert.equal(
      intervals.reduce((sum, { calls }) => sum + calls, 0),
      times.length,
    );
    assert.ok((intervals[0]?.from ?? 0) <= Math.min(...times));
    assert.ok((intervals.at(-1)?.to ?? 0) > Math.max(...times));
  }
});

test('nothing has no interval', () => {
  assert.deepEqual(new TimeHistogram().intervals, []);
});
