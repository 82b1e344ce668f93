import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hierarchies, newCgroupPath } from './cgroups.js';

describe('the cgroups of a fresh root', () => {
  const mount = (point: string, type: string, options: string, root = '/'): string =>
    `35 24 0:30 ${root} ${point} rw,relatime shared:9 - ${type} cgroup rw,${options}\n`;

  it('are below the process’s own cgroup in each v1 hierarchy, and in a v2 hierarchy beside them', () => {
    const found = hierarchies(
      '4:memory:/box\n3:cpu,cpuacct:/\n1:name=systemd:/unit\n0::/unit\n',
      mount('/sys/fs/cgroup/memory', 'cgroup', 'memory') +
        mount('/sys/fs/cgroup/cpu,cpuacct', 'cgroup', 'cpu,cpuacct') +
        mount('/sys/fs/cgroup/systemd', 'cgroup', 'xattr,name=systemd') +
        mount('/sys/fs/cgroup/unified', 'cgroup2', 'nsdelegate') +
        '24 1 254:0 / / rw - ext4 /dev/vda rw\n',
    );
    assert.deepEqual(
      found.map(({ options, own }) => `${options} ${own}`),
      ['memory /box', 'cpu,cpuacct /', 'none,name=systemd /unit', ' /unit'],
    );
    assert.deepEqual(
      found.map((hierarchy) => newCgroupPath(hierarchy, 'x', false)),
      [
        '/sys/fs/cgroup/memory/box/x',
        '/sys/fs/cgroup/cpu,cpuacct/x',
        '/sys/fs/cgroup/systemd/unit/x',
        '/sys/fs/cgroup/unified/unit/x',
      ],
    );
  });

  it('are one for each mount point, also if it is listed twice', () => {
    const memory = mount('/sys/fs/cgroup/memory', 'cgroup', 'memory');
    assert.equal(hierarchies('4:memory:/box\n', memory + memory).length, 1);
  });

  it('are at the top if there is only a v2 hierarchy', () => {
    const [only] = hierarchies('0::/user.slice/s\n', mount('/sys/fs/cgroup', 'cgroup2', 'nsdelegate'));
    assert.ok(only !== undefined);
    assert.equal(newCgroupPath(only, 'x', true), '/sys/fs/cgroup/x');
  });
});
