import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onDoublings, onDoublingsOfEach } from './doublings.js';

test('the first, second, fourth … event is reported', () => {
  const reported: (readonly [number, string])[] = [];
  const report = onDoublings<string>((...of) => reported.push(of));
  for (let event = 1; event <= 20; event += 1) report(`event ${event}`);
  assert.deepEqual(
    reported,
    [1, 2, 4, 8, 16].map((times) => [times, `event ${times}`]),
  );
});

test('keys are counted apart, and many of them take no more memory', () => {
  const reported = new Map<string, number>();
  const report = onDoublingsOfEach((key, times) => reported.set(key, times));
  for (let event = 0; event < 5; event += 1) report('loud');
  report('quiet');
  assert.deepEqual(
    [...reported],
    [
      ['loud', 4],
      ['quiet', 1],
    ],
  );
  for (let other = 0; other < 5_000; other += 1) report(`other ${other}`);
  assert.equal(reported.size, 5_002);
  report('loud');
  assert.equal(reported.get('loud'), 1, 'forgotten');
});
