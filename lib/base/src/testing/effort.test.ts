import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

/** Returns what a process computes, with CI=true or without. */
function computed(ci: string, expression: string): unknown {
  const module = JSON.stringify(new URL('effort.js', import.meta.url).href);
  const program = `import * as effort from ${module}; console.log(JSON.stringify(${expression}))`;
  const options = { encoding: 'utf8', env: { ...process.env, CI: ci } } as const;
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', program], options));
}

const expression =
  '[effort.runs(3000), effort.runs(60), effort.runs(4), effort.timesSeen(40), [...effort.positions(64)]]';

test('with CI=true all is tried', () => {
  assert.deepEqual(computed('true', expression), [
    3000,
    60,
    4,
    40,
    Array.from({ length: 64 }, (_, at) => at),
  ]);
});

test('without it a tenth of the runs, and each 16th byte from a random one', () => {
  const [most, few, fewest, times, positions] = computed('', expression) as [
    number,
    number,
    number,
    number,
    readonly number[],
  ];
  assert.deepEqual([most, few, fewest, times], [300, 10, 4, 0]);
  const [first = -1] = positions;
  assert.ok(first >= 0 && first < 16);
  assert.deepEqual(positions, [first, first + 16, first + 32, first + 48]);
  assert.deepEqual(computed('', '[...effort.positions(0)]'), []);
});
