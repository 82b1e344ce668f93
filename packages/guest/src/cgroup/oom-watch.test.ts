import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RecordingSyscalls } from '@kata-agent/linux';
import { makeTree } from '../testing/tree.js';
import { OomWatch } from './oom-watch.js';

const never = new AbortController().signal;
const kills = (directory: string, count: number): void =>
  writeFileSync(join(directory, 'memory.events'), `oom 9\noom_kill ${count}\n`);

test('each step of the counter is one event; none is lost between calls or with the container', async (t) => {
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

test('one who waits for a container of cgroup v2 is told by the kernel, and no timer runs', async (t) => {
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

test('one who waits for a container of cgroup v1 is told without being asked again', async (t) => {
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
