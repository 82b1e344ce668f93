import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SavedStorage } from './saved-storage.js';
import { usedStorages } from './used-storages.js';

function record(place: string, more: Partial<SavedStorage> = {}): SavedStorage {
  return {
    place,
    storage: {
      driver: 'bind',
      driverOptions: [],
      source: '/kata/x',
      fstype: 'bind',
      options: [],
      mountPoint: `/kata/${place}`,
      shared: false,
    },
    owner: { kind: 'sandbox' },
    missing: [],
    sources: [],
    needs: [],
    ready: true,
    kept: false,
    ...more,
  };
}

const places = (records: readonly SavedStorage[]): readonly string[] => records.map(({ place }) => place);

test('what a container names is used, and what that needs', () => {
  const records = [record('a'), record('b', { needs: ['a'] }), record('c', { needs: ['b'] }), record('d')];
  const { used, unused } = usedStorages(records, ['c']);
  assert.deepEqual(places(used), ['a', 'b', 'c'], 'in the order in which they were mounted');
  assert.deepEqual(places(unused), ['d']);
});

test('a kept storage is used without a container, and so is what it needs', () => {
  const records = [record('a'), record('b', { kept: true, needs: ['a'] })];
  assert.deepEqual(usedStorages(records, []), { used: records, unused: [] });
});

test('a mount that was not finished is unused, and keeps nothing; it is released before what it needs', () => {
  const records = [record('a'), record('b'), record('c', { ready: false, kept: true, needs: ['a'] })];
  const { used, unused } = usedStorages(records, ['c']);
  assert.deepEqual(used, []);
  assert.deepEqual(places(unused), ['c', 'b', 'a']);
});
