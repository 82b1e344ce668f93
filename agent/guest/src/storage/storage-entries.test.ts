import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UsedSource } from '../source/place-owner.js';
import { throughStorages } from './storage-entries.js';

const sources: ReadonlyMap<string, readonly UsedSource[]> = new Map([
  ['sandbox/storage/x', [{ path: '/kata/shared/containers/x', use: 'volume', isDirectory: true }]],
  [
    'c/rootfs',
    [
      { path: '/kata/lower', use: 'layer', isDirectory: true },
      { path: '/kata/upper', use: 'own', isDirectory: true },
    ],
  ],
]);

function through(source: UsedSource): readonly UsedSource[] {
  return throughStorages(source, '/kata', (place) => sources.get(place) ?? []);
}

test('a source outside of a storage is itself', () => {
  for (const path of ['/kata/shared/containers/x', '/kata/sandbox/storage', '/kata2/sandbox/storage/x']) {
    const source = { path, use: 'volume', isDirectory: true } as const;
    assert.deepEqual(through(source), [source]);
  }
});

test('a file in a storage is also one in its source, with the use of the request', () => {
  const source = { path: '/kata/sandbox/storage/x/a/b', use: 'own', isDirectory: false } as const;
  assert.deepEqual(through(source), [
    source,
    { path: '/kata/shared/containers/x/a/b', use: 'own', isDirectory: false },
  ]);
});

test('the mount point of a storage is each of its sources, with the use of these', () => {
  const source = { path: '/kata/c/rootfs', use: 'volume', isDirectory: true } as const;
  assert.deepEqual(through(source), [source, ...(sources.get('c/rootfs') ?? [])]);
});
