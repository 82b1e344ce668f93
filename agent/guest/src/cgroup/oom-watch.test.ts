import assert from 'node:assert/strict';
import fs, { rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RecordingSyscalls } from '@kata-agent/linux';
import { makeTree } from '../testing/tree.js';
import { OomWatch } from './oom-watch.js';

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
