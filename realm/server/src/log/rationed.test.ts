import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rarely } from './rarely.js';
import { rationed } from './rationed.js';

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

test('the first, second, fourth … of each key is reported', () => {
  const reported: string[] = [];
  const report = rarely<number>((key, times, event) => reported.push(`${key} ${times} ${event}`));
  for (let n = 0; n < 9; n += 1) report('a', n);
  report('b', 0);
  assert.deepEqual(reported, ['a 1 0', 'a 2 1', 'a 4 3', 'a 8 7', 'b 1 0']);
  // Keys that a peer chooses take bounded memory.
  for (let n = 0; n < 5_000; n += 1) report(`key ${n}`, n);
  report('a', 9);
  assert.equal(reported.at(-1), 'a 1 9');
});
