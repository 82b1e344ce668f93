import assert from 'node:assert/strict';
import { test } from 'node:test';
import { remembered, type RemovedContainer } from './removed-containers.js';

function after(...ends: readonly (readonly [string, number | undefined])[]): readonly RemovedContainer[] {
  return ends.reduce<readonly RemovedContainer[]>(
    (removed, [name, exitCode]) => remembered(removed, { name, exitCode, mounts: [] }),
    [],
  );
}

test('the last container of each name and the last that exited with 0 are remembered', () => {
  const codes = after(['init', 1], ['init', 0], ['web', 137], ['init', 2], ['init', 3]);
  assert.deepEqual(
    codes.map(({ name, exitCode }) => [name, exitCode]),
    [
      ['init', 0],
      ['web', 137],
      ['init', 3],
    ],
  );
  assert.deepEqual(
    after(['init', 3], ['init', 0]).map(({ exitCode }) => exitCode),
    [0],
  );
});

test('no more than 256 are kept', () => {
  const many = after(...Array.from({ length: 300 }, (_, index) => [`c${index}`, 0] as const));
  assert.equal(many.length, 256);
  assert.equal(many.at(-1)?.name, 'c299');
});
