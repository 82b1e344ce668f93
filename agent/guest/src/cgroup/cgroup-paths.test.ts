import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeTree } from '../testing/tree.js';
import { cgroupPaths, cgroupPathsOf } from './cgroup-paths.js';

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

test('a container’s paths are those of its cgroup, never those of the guest', (context) => {
  const root = makeTree({
    'proc/1/cgroup': '5:misc:/\n4:memory:/a/c\n1:cpu,cpuacct:/a/c\n0::/a/c\n',
    // A process that has ended.
    'proc/2/cgroup': '4:memory:/\n1:cpu,cpuacct:/\n0::/a/c\n',
    'proc/3/cgroup': '0::/a/c\n',
    'proc/4/cgroup': '0::/a/c (deleted)\n',
    'v2/cgroup.controllers': '',
  });
  context.after(() => rmSync(root, { recursive: true }));
  const proc = join(root, 'proc');
  const [v1, v2] = [join(root, 'v1'), join(root, 'v2')];
  const paths = cgroupPathsOf(1, '/a/c', { proc, cgroup: v1 });
  assert.ok(paths.version === 1);
  assert.deepEqual([...paths.controllers.keys()], ['memory', 'cpu', 'cpuacct', 'unified']);
  assert.deepEqual(cgroupPathsOf(3, '/a/c', { proc, cgroup: v2 }), {
    version: 2,
    directory: join(v2, 'a/c'),
  });
  for (const [pid, cgroup] of [
    [2, v1],
    [3, v1],
    [5, v1],
    [4, v2],
  ] as const)
    assert.throws(() => cgroupPathsOf(pid, '/a/c', { proc, cgroup }), {
      kind: 'precondition',
      message: /not in the cgroup "\/a\/c": it ended before the container was started/,
    });
});
