import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerMounts } from './mounts.js';

const mount = (type: string, options: readonly string[], destination = '/m') =>
  containerMounts([{ destination, type, source: '/s', options }]);

test('file systems, options and destinations off the lists are refused by name', () => {
  for (const type of ['ext4', 'debugfs', 'fuse', '9p', 'overlay', 'none', ''])
    assert.throws(() => mount(type, []), { kind: 'refused' });
  for (const option of ['evil', 'dev=/dev/vda', 'subvol=x', 'idmap', 'mode', '=1']) {
    assert.throws(() => mount('tmpfs', [option]), { kind: 'refused', message: new RegExp(option) });
  }
  assert.throws(() => mount('bind', [], 'relative'), { kind: 'invalid' });
  assert.throws(() => mount('bind', [], '/a/../../b'), { kind: 'invalid' });
});

test('what pods have passes, and Kata’s own options do not reach the runtime', () => {
  const [bind] = mount('bind', ['rbind', 'rprivate', 'ro', 'fsgid=2000', 'X-kata.overlay=1']);
  assert.deepEqual(bind?.options, ['rbind', 'rprivate', 'ro']);
  mount('tmpfs', ['nosuid', 'strictatime', 'mode=1777', 'size=65536k']);
  mount('devpts', ['newinstance', 'ptmxmode=0666', 'gid=5', 'noexec']);
  mount('hugetlbfs', ['pagesize=2M', 'size=100M']);
  mount('cgroup', ['nosuid', 'noexec', 'nodev', 'relatime', 'ro']);
  assert.deepEqual(containerMounts(undefined), []);
});

test('what runc would bind says so by its type, which is what rules look at', () => {
  for (const type of ['tmpfs', 'proc', 'none', ''])
    for (const option of ['bind', 'rbind'])
      assert.throws(() => mount(type, ['ro', option]), {
        kind: 'refused',
        message: /its type must be "bind"/,
      });
  mount('bind', ['rbind']);
  mount('bind', []);
});
