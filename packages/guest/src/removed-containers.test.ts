import assert from 'node:assert/strict';
import { test } from 'node:test';
import { remembered, type RemovedContainer } from './removed-containers.js';

const named = (name: string): Record<string, string> => ({
  'io.kubernetes.cri.container-name': name,
  'io.kubernetes.cri.image-name': 'image',
});

function after(...ends: readonly (readonly [string, number | undefined])[]): readonly RemovedContainer[] {
  return ends.reduce<readonly RemovedContainer[]>(
    (removed, [name, code]) => remembered(removed, named(name), code),
    [],
  );
}

test('of a name the last is remembered, and the last that ended with 0', () => {
  const codes = after(['init', 1], ['init', 0], ['web', 137], ['init', 2], ['init', 3]);
  assert.deepEqual(
    codes.map(({ annotations, exitCode }) => [annotations['io.kubernetes.cri.container-name'], exitCode]),
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

test('nothing but the name is kept, and no more than 256', () => {
  assert.deepEqual(after(['a', 0])[0]?.annotations, { 'io.kubernetes.cri.container-name': 'a' });
  const many = after(...Array.from({ length: 300 }, (_, index) => [`c${index}`, 0] as const));
  assert.equal(many.length, 256);
  assert.equal(many.at(-1)?.annotations['io.kubernetes.cri.container-name'], 'c299');
});
