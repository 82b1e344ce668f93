import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupPaths } from './cgroup-paths.js';

test('v1 and hybrid: a directory for each controller', () => {
  const text = '9:name=systemd:/a/c\n4:memory:/a/c\n1:cpu,cpuacct:/a/c\n0::/a/c\n';
  const paths = cgroupPaths(text, '/sys/fs/cgroup', false);
  assert.ok(paths.version === 1);
  assert.equal(paths.controllers.get('memory'), '/sys/fs/cgroup/memory/a/c');
  assert.equal(paths.controllers.get('cpu'), '/sys/fs/cgroup/cpu,cpuacct/a/c');
  assert.equal(paths.controllers.get('cpuacct'), '/sys/fs/cgroup/cpu,cpuacct/a/c');
  assert.equal(paths.controllers.get('systemd'), '/sys/fs/cgroup/systemd/a/c');
  assert.equal(paths.controllers.get('unified'), '/sys/fs/cgroup/unified/a/c');
});

test('v2: one directory', () => {
  const paths = cgroupPaths('0::/a/c\n', '/sys/fs/cgroup', true);
  assert.deepEqual(paths, { version: 2, directory: '/sys/fs/cgroup/a/c' });
});
