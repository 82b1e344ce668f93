import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CgroupNames, cgroupNameOf } from './cgroup-names.js';

test('a cgroup is one container’s, with all that lies in it', () => {
  const names = new CgroupNames(['/', '/system.slice/kata-agent.service']);
  const release = names.take('/pod/one');
  names.take('/pod/two');
  names.take('/pod/one-more');
  for (const name of ['/pod/one', '/pod', '/pod/one/below'])
    assert.throws(() => names.take(name), { kind: 'exists' }, name);
  for (const name of ['/system.slice', '/system.slice/kata-agent.service/x'])
    assert.throws(() => names.take(name), { kind: 'refused' }, name);
  release();
  names.take('/pod/one/below');
});

test('the name of a cgroup is what the request has it by', () => {
  const directory = '/sys/fs/cgroup/pod/one';
  assert.equal(cgroupNameOf({ version: 2, directory }, '/sys/fs/cgroup'), '/pod/one');
  const controllers = new Map([['pids', '/sys/fs/cgroup/pids/pod/one']]);
  assert.equal(cgroupNameOf({ version: 1, controllers }, '/sys/fs/cgroup'), '/pod/one');
});
