import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RecordingSyscalls } from '@kata-agent/linux';
import { makeTree } from '../testing/tree.js';
import { killAll } from './freeze-and-kill.js';

test('v1: the cgroup is frozen, all processes in it and below it are killed, and it is thawed', async (t) => {
  const root = makeTree({
    'f/freezer.state': 'FROZEN',
    'f/cgroup.procs': '500001\n500002\n',
    'f/sub/cgroup.procs': '500003\n',
  });
  t.after(() => rmSync(root, { recursive: true }));
  const kernel = new RecordingSyscalls();
  kernel.fail('kill', 'ESRCH');
  await killAll({ version: 1, controllers: new Map([['freezer', join(root, 'f')]]) }, kernel);
  assert.deepEqual(kernel.argumentsOf('kill'), [
    [500001, 9],
    [500002, 9],
    [500003, 9],
  ]);
  assert.match(readFileSync(join(root, 'f/freezer.state'), 'utf8'), /^THAWED/);
});

test('v2: cgroup.kill is written, and the cgroup is thawed', async (t) => {
  const root = makeTree({ 'cgroup.kill': '', 'cgroup.freeze': '1', 'cgroup.procs': '500001\n' });
  t.after(() => rmSync(root, { recursive: true }));
  const kernel = new RecordingSyscalls();
  await killAll({ version: 2, directory: root }, kernel);
  assert.equal(readFileSync(join(root, 'cgroup.kill'), 'utf8'), '1');
  assert.equal(readFileSync(join(root, 'cgroup.freeze'), 'utf8'), '0');
  assert.deepEqual(kernel.calls, []);
});

test('no process of a cgroup with the agent in it is killed', async (t) => {
  const root = makeTree({ 'cgroup.kill': '', 'cgroup.procs': `500001\n${process.pid}\n` });
  t.after(() => rmSync(root, { recursive: true }));
  await assert.rejects(killAll({ version: 2, directory: root }, new RecordingSyscalls()), {
    kind: 'internal',
  });
  assert.equal(readFileSync(join(root, 'cgroup.kill'), 'utf8'), '');
});

test('killing a cgroup that is gone does nothing', async () => {
  await killAll({ version: 2, directory: '/nonexistent' }, new RecordingSyscalls());
});
