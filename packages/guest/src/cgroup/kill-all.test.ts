import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RecordingSyscalls } from '@kata-agent/linux';
import { makeTree } from '../testing/tree.js';
import { killAll } from './kill-all.js';

test('v1: frozen, each process of the cgroup and those below killed, thawed', async (t) => {
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

test('v2: the kernel kills all, and a frozen one is thawed', async (t) => {
  const root = makeTree({ 'cgroup.kill': '', 'cgroup.freeze': '1', 'cgroup.procs': '500001\n' });
  t.after(() => rmSync(root, { recursive: true }));
  const kernel = new RecordingSyscalls();
  await killAll({ version: 2, directory: root }, kernel);
  assert.equal(readFileSync(join(root, 'cgroup.kill'), 'utf8'), '1');
  assert.equal(readFileSync(join(root, 'cgroup.freeze'), 'utf8'), '0');
  assert.deepEqual(kernel.calls, []);
});

test('a cgroup that holds the agent itself is left alone', async (t) => {
  const root = makeTree({ 'cgroup.kill': '', 'cgroup.procs': `500001\n${process.pid}\n` });
  t.after(() => rmSync(root, { recursive: true }));
  await assert.rejects(killAll({ version: 2, directory: root }, new RecordingSyscalls()), {
    kind: 'internal',
  });
  assert.equal(readFileSync(join(root, 'cgroup.kill'), 'utf8'), '');
});

test('a cgroup that is gone has nobody to be killed', async () => {
  await killAll({ version: 2, directory: '/nonexistent' }, new RecordingSyscalls());
});
