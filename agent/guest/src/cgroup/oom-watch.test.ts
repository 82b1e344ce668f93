import assert from 'node:assert/strict';
import fs, { rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RecordingSyscalls } from '@kata-agent/linux';
import { makeTree } from '../testing/tree.js';
import { OomWatch, SliceKills } from './oom-watch.js';

const never = new AbortController().signal;
const kills = (directory: string, count: number): void =>
  writeFileSync(join(directory, 'memory.events'), `oom 9\noom_kill ${count}\n`);

test('each increment of the counter is one event; none is lost between calls or when the container is removed', async (t) => {
  const directory = makeTree({ 'memory.events': 'oom_kill 5\n' });
  t.after(() => rmSync(directory, { recursive: true }));
  const watch = new OomWatch(new RecordingSyscalls());
  watch.add('c1', { version: 2, directory });
  kills(directory, 7);
  watch.check('c1');
  kills(directory, 8);
  watch.remove('c1');
  assert.deepEqual(
    [await watch.next(never), await watch.next(never), await watch.next(never)],
    ['c1', 'c1', 'c1'],
  );
  const stop = new AbortController();
  const none = watch.next(stop.signal);
  stop.abort(new Error('no more'));
  await assert.rejects(none, /no more/);
});

test('who watches a container receives a kill, also an earlier one, and once for what one read finds', (t) => {
  const directory = makeTree({ 'memory.events': 'oom_kill 0\n' });
  t.after(() => rmSync(directory, { recursive: true }));
  const told: string[] = [];
  const watch = new OomWatch(new RecordingSyscalls());
  watch.add('c1', { version: 2, directory }, () => told.push('c1'));
  watch.check('c1');
  assert.equal(told.length, 0);
  kills(directory, 2);
  watch.check('c1');
  assert.equal(told.length, 1);
  watch.remove('c1');
  const next = new OomWatch(new RecordingSyscalls());
  next.add('c1', { version: 2, directory }, () => told.push('after a restart'));
  next.remove('c1');
  assert.deepEqual(told, ['c1', 'after a restart']);
});

test('the newest call gets the event: nobody may read the answer to one from before a reconnect', async (t) => {
  const directory = makeTree({ 'memory.events': 'oom_kill 0\n' });
  t.after(() => rmSync(directory, { recursive: true }));
  const watch = new OomWatch(new RecordingSyscalls());
  watch.add('c1', { version: 2, directory });
  t.after(() => watch.remove('c1'));
  const answered: string[] = [];
  const ended = new AbortController();
  const before = watch.next(ended.signal).then(() => answered.push('before'));
  const after = watch.next(never).then(() => answered.push('after'));
  kills(directory, 1);
  watch.check('c1');
  await after;
  assert.deepEqual(answered, ['after']);
  ended.abort(new Error('closed'));
  await assert.rejects(before, /closed/);
});

test('a wait on cgroup v2 is notified by the kernel, and no timer runs', async (t) => {
  const directory = makeTree({ 'memory.events': 'oom_kill 0\n' });
  t.after(() => rmSync(directory, { recursive: true }));
  t.mock.timers.enable({ apis: ['setInterval'] });
  const watch = new OomWatch(new RecordingSyscalls());
  watch.add('c1', { version: 2, directory });
  t.after(() => watch.remove('c1'));
  const event = watch.next(never);
  const keep = setTimeout(() => undefined, 60_000);
  t.after(() => clearTimeout(keep));
  kills(directory, 1);
  assert.equal(await event, 'c1');
});

test('a wait on cgroup v1 is notified without a second call', async (t) => {
  const directory = makeTree({
    'memory/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 0\n',
  });
  t.after(() => rmSync(directory, { recursive: true }));
  const keep = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(keep));
  const watch = new OomWatch(new RecordingSyscalls());
  watch.add('c1', { version: 1, controllers: new Map([['memory', join(directory, 'memory')]]) });
  const [first, second] = [watch.next(never), watch.next(never)];
  writeFileSync(join(directory, 'memory/memory.oom_control'), 'under_oom 0\noom_kill 2\n');
  assert.deepEqual(await Promise.all([first, second]), ['c1', 'c1']);
});

/** Returns the events until now: they are delivered at once. */
async function eventsOf(watch: OomWatch): Promise<readonly string[]> {
  const events: string[] = [];
  for (;;) {
    const stop = new AbortController();
    const next = watch.next(stop.signal);
    stop.abort(new Error('none'));
    const event = await next.catch(() => undefined);
    if (event === undefined) return events;
    events.push(event);
  }
}

/** A slice with scopes, each with one process and no kills. */
function makeSlice(names: readonly string[], count: number) {
  const files = names.flatMap((name) => [
    [`${name}/memory.events`, 'oom_kill 0\n'],
    [`${name}/cgroup.events`, 'populated 1\nfrozen 0\n'],
  ]);
  const slice = makeTree({ 'memory.events': `oom_kill ${count}\n`, ...Object.fromEntries(files) });
  const watch = new OomWatch(new RecordingSyscalls());
  return {
    slice,
    watch,
    add: (name: string): void => watch.add(name, { version: 2, directory: join(slice, name) }),
    /** The last process ends. */
    end: (name: string): void => writeFileSync(join(slice, name, 'cgroup.events'), 'populated 0\nfrozen 0\n'),
    /** systemd removes the scope. */
    drop: (name: string): void => rmSync(join(slice, name), { recursive: true }),
  };
}

test('a kill whose counter systemd removed before it was read is an event of that container', async (t) => {
  const { slice, watch, add, drop } = makeSlice(['a', 'b', 'c', 'd'], 4);
  t.after(() => rmSync(slice, { recursive: true }));
  for (const name of ['a', 'b', 'c']) add(name);
  kills(join(slice, 'a'), 1);
  kills(slice, 5);
  drop('b');
  watch.check('b');
  assert.deepEqual(await eventsOf(watch), ['a'], 'the kill in a is not of b');
  kills(slice, 6);
  drop('c');
  watch.check('c');
  watch.check('c');
  assert.deepEqual(await eventsOf(watch), ['c']);
  watch.remove('a');
  drop('a');
  watch.remove('b');
  watch.remove('c');
  assert.deepEqual(await eventsOf(watch), [], 'kills of removed containers are not of others');
  add('d');
  drop('d');
  watch.remove('d');
  assert.deepEqual(await eventsOf(watch), [], 'nor are those from before');
});

test('a kill after the last process of a container has ended is not of that container', async (t) => {
  const { slice, watch, add, end, drop } = makeSlice(['older', 'killed', 'noticed'], 0);
  t.after(() => rmSync(slice, { recursive: true }));
  for (const name of ['older', 'killed']) add(name);
  end('older');
  watch.check('older');
  drop('older');
  kills(slice, 1);
  drop('killed');
  watch.check('killed');
  assert.deepEqual(await eventsOf(watch), ['killed']);
  kills(slice, 2);
  for (const name of ['older', 'killed']) watch.remove(name);
  assert.deepEqual(await eventsOf(watch), [], 'a service was killed');
});

test('the kernel notifies the end of the last process, without a check', async (t) => {
  const { slice, watch, add, end, drop } = makeSlice(['a'], 0);
  t.after(() => rmSync(slice, { recursive: true }));
  add('a');
  const read = t.mock.method(fs, 'openSync');
  syncBuiltinESMExports();
  t.after(() => {
    read.mock.restore();
    syncBuiltinESMExports();
  });
  end('a');
  for (let turn = 0; read.mock.callCount() === 0 && turn < 500; turn += 1) await sleep(10);
  drop('a');
  kills(slice, 1);
  watch.remove('a');
  assert.deepEqual(await eventsOf(watch), []);
});

test('the counters of cgroups that are gone are read once, not for each other container', async (t) => {
  const names = Array.from({ length: 64 }, (_, index) => `c${index}`);
  const { slice, watch, add, drop } = makeSlice(['alive', ...names], 0);
  t.after(() => rmSync(slice, { recursive: true }));
  for (const name of ['alive', ...names]) add(name);
  for (const name of names) drop(name);
  const read = t.mock.method(fs, 'openSync');
  syncBuiltinESMExports();
  t.after(() => {
    read.mock.restore();
    syncBuiltinESMExports();
  });
  assert.deepEqual(await eventsOf(watch), []);
  const first = read.mock.callCount();
  // Two files of each.
  assert.ok(first > names.length && first < 3 * names.length, `${first} reads`);
  kills(join(slice, 'alive'), 1);
  kills(slice, 1);
  assert.deepEqual(await eventsOf(watch), ['alive']);
  const then = read.mock.callCount() - first;
  assert.ok(then > 0 && then < 20, `${then} reads`);
});

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
