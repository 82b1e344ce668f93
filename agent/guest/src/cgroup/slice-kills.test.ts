import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SliceKills } from './slice-kills.js';

/** Slices whose counts and containers the test sets: `containers` has the kills by directory, `gone` those without a cgroup. */
function made() {
  const counts = new Map<string, bigint>();
  const containers = new Map<string, bigint>();
  const gone = new Set<string>();
  const notices = new Map<string, () => void>();
  let reads = 0;
  const below = (slice: string) => [...containers].filter(([directory]) => directory.startsWith(`${slice}/`));
  const slices = new SliceKills({
    killsOf: (directory) => counts.get(directory),
    noticeOf: (directory, changed) => {
      notices.set(directory, changed);
      return () => notices.delete(directory);
    },
    read: (slice) => {
      reads += 1;
      return below(slice).flatMap(([directory]) => (gone.delete(directory) ? [directory] : []));
    },
    explained: (slice) => below(slice).reduce((sum, [, kills]) => sum + kills, 0n),
    ascribe: (directory, kills) => containers.set(directory, (containers.get(directory) ?? 0n) + kills),
  });
  const add = (directory: string, kills: bigint): void => {
    slices.add(directory, kills);
    containers.set(directory, kills);
  };
  return { counts, containers, gone, notices, slices, add, reads: () => reads };
}

test('kills of services are of no container, once the kernel has reported them', () => {
  const { counts, containers, gone, notices, slices, add } = made();
  counts.set('/s', 3n);
  add('/s/a', 0n);
  counts.set('/s', 5n);
  notices.get('/s')?.();
  counts.set('/s', 6n);
  gone.add('/s/a');
  notices.get('/s')?.();
  assert.equal(containers.get('/s/a'), 1n);
  counts.set('/s', 7n);
  notices.get('/s')?.();
  assert.equal(containers.get('/s/a'), 1n, 'the cgroup was already gone');
  add('/s/b', 0n);
  counts.delete('/s');
  slices.check('/s', '/s/b');
  assert.equal(containers.get('/s/b'), 0n, 'the slice is gone as well');
  slices.remove('/s/a', 1n);
  slices.remove('/s/b', 0n);
  assert.deepEqual([...notices.keys()], []);
});

test('kills in a container stay explained when it is removed, also in the slices above', () => {
  const { counts, containers, slices, add } = made();
  for (const slice of ['/s', '/s/t']) counts.set(slice, 2n);
  add('/s/a', 0n);
  add('/s/t/b', 2n);
  add('/s/t/c', 0n);
  containers.delete('/s/t/b');
  slices.remove('/s/t/b', 2n);
  slices.check('/s', '/s/a');
  slices.check('/s/t', '/s/t/c');
  assert.deepEqual([...containers.values()], [0n, 0n]);
});

test('a kill in a slice below is of the container there', () => {
  const { counts, containers, gone, notices, add } = made();
  for (const slice of ['/s', '/s/t']) counts.set(slice, 0n);
  add('/s/a', 0n);
  add('/s/t/b', 0n);
  counts.set('/s', 3n).set('/s/t', 1n);
  for (const directory of ['/s/a', '/s/t/b']) gone.add(directory);
  notices.get('/s')?.();
  assert.deepEqual(Object.fromEntries(containers), { '/s/a': 2n, '/s/t/b': 1n });
});

test('a kill in a container that is still being created is not of one whose cgroup is gone', () => {
  const { counts, containers, slices, add } = made();
  counts.set('/s', 0n);
  add('/s/a', 0n);
  counts.set('/s', 1n);
  add('/s/b', 1n);
  slices.check('/s', '/s/a');
  assert.equal(containers.get('/s/a'), 0n);
});

test('a container that causes kills without end does not keep the agent reading', () => {
  const { counts, slices, add, reads } = made();
  add('/s/a', 0n);
  let kills = 0n;
  counts.get = () => {
    kills += 1n;
    assert.ok(kills < 100n, 'it ends');
    return kills;
  };
  const before = reads();
  slices.check('/s');
  assert.equal(reads() - before, 2);
});
