import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rationed } from './realm-log.js';

test('a flood writes a burst, then so many per second, with the number of those left out', () => {
  let time = 0;
  const ration = rationed(3, 1, () => time);
  const results = Array.from({ length: 5 }, () => ration());
  assert.deepEqual(results, [0, 0, 0, undefined, undefined]);
  time = 1_000;
  assert.deepEqual([ration(), ration()], [2, undefined]);
  time = 100_000;
  assert.deepEqual([ration(), ration(), ration(), ration()], [1, 0, 0, undefined]);
});
