import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OciMount } from '../request/oci-spec.js';
import { admitMounts } from '../create/admission.js';
import type { MountRules } from './mounts.js';

const refuse: MountRules = { privileged: 'refuse', cgroupNamespace: false };
const allow: MountRules = { ...refuse, privileged: 'allow' };

function mountWith(
  type: string,
  options: readonly string[],
  destination = '/m',
  rules: MountRules = refuse,
): OciMount | undefined {
  return admitMounts([{ destination, type, source: '/s', options }], rules)[0];
}

function refuses(
  message: RegExp,
  ...[type, options, destination, rules]: Parameters<typeof mountWith>
): void {
  assert.throws(() => mountWith(type, options, destination, rules), { kind: 'refused', message });
}

test('file systems and options that are not listed are refused, also for privileged containers', () => {
  for (const rules of [refuse, allow]) {
    for (const type of ['ext4', 'debugfs', 'fuse', '9p', 'overlay', 'none', ''])
      refuses(/not allowed in containers/, type, [], '/m', rules);
    for (const option of [
      'evil',
      'dev=/dev/vda',
      'subvol=x',
      'idmap',
      'mode',
      '=1',
      'lowerdir=/',
      'upperdir=/',
    ])
      refuses(new RegExp(option), 'tmpfs', [option], '/m', rules);
    // Each file system has its own options.
    refuses(/size/, 'proc', ['size=1'], '/proc', rules);
    refuses(/hidepid/, 'proc', ['hidepid=2'], '/proc', rules);
    refuses(/newinstance/, 'tmpfs', ['newinstance'], '/m', rules);
  }
});

test('remount, tmpcopyup and move are refused for every file system', () => {
  for (const rules of [refuse, allow])
    for (const type of ['bind', 'cgroup', 'sysfs', 'proc', 'tmpfs'])
      for (const option of ['remount', 'tmpcopyup', 'move'])
        refuses(new RegExp(option), type, [option], '/m', rules);
});

test('destinations are cleaned; the root is refused', () => {
  assert.throws(() => mountWith('bind', [], 'relative'), { kind: 'invalid' });
  assert.throws(() => mountWith('bind', [], '/a/../../b'), { kind: 'invalid' });
  assert.throws(() => mountWith('bind', [], '/a/..'), { kind: 'invalid' });
  assert.throws(() => mountWith('bind', [], '/a\0'), { kind: 'invalid' });
  for (const rules of [refuse, allow])
    for (const root of ['/', '//', '/.', '/./', '///.//'])
      refuses(/replace the root/, 'bind', [], root, rules);
  assert.equal(mountWith('bind', ['rbind'], '/data//x/./')?.destination, '/data/x');
});

test('shared propagation is for privileged containers', () => {
  for (const option of ['shared', 'rshared', 'unbindable', 'runbindable']) {
    refuses(/privileged/, 'bind', ['rbind', option]);
    assert.deepEqual(mountWith('bind', ['rbind', option], '/m', allow)?.options, ['rbind', option]);
  }
  for (const option of ['private', 'rprivate', 'slave', 'rslave']) mountWith('bind', ['rbind', option]);
});

test('kernel file systems have one destination each, and are read-only', () => {
  mountWith('proc', ['nosuid', 'noexec', 'nodev'], '/proc');
  mountWith('sysfs', ['nosuid', 'noexec', 'nodev', 'ro'], '/sys');
  mountWith('sysfs', ['ro'], '/sys/');
  mountWith('cgroup', ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'], '/sys/fs/cgroup');
  mountWith('cgroup2', ['rw'], '/sys/fs/cgroup', { ...refuse, cgroupNamespace: true });
  const copied = mountWith('cgroup', ['ro', 'nsdelegate', 'memory_recursiveprot'], '/sys/fs/cgroup');
  assert.deepEqual(copied?.options, ['ro'], 'the engine copies how the host has mounted its own');
  for (const [type, options, destination] of [
    ['proc', [], '/mnt'],
    ['proc', [], '/proc2'],
    ['sysfs', ['ro'], '/mnt'],
    ['sysfs', [], '/sys'],
    ['sysfs', ['ro', 'rw'], '/sys'],
    ['cgroup', ['ro'], '/mnt'],
    ['cgroup', ['ro'], '/sys/fs'],
    ['cgroup', [], '/sys/fs/cgroup'],
    ['cgroup2', ['ro', 'rw'], '/sys/fs/cgroup'],
    ['bind', ['rbind'], '/proc'],
    ['bind', ['rbind'], '/proc/sys/kernel'],
    ['tmpfs', [], '//proc/./scsi'],
    ['bind', ['rbind'], '/sys/fs/cgroup'],
    ['tmpfs', [], '/sys/firmware'],
    ['mqueue', [], '/proc/x'],
  ] as const) {
    refuses(/allow/, type, options, destination);
    mountWith(type, options, destination, allow);
  }
  // A path that only shares the prefix belongs to the container.
  mountWith('bind', ['rbind'], '/procedures');
  mountWith('tmpfs', [], '/system');
});

test('mounts of pods pass, without Kata’s own options', () => {
  const bind = mountWith('bind', ['rbind', 'rprivate', 'ro', 'fsgid=2000']);
  assert.deepEqual(bind?.options, ['rbind', 'rprivate', 'ro']);
  mountWith('tmpfs', ['nosuid', 'strictatime', 'mode=1777', 'size=65536k']);
  mountWith('devpts', ['newinstance', 'ptmxmode=0666', 'gid=5', 'noexec'], '/dev/pts');
  mountWith('hugetlbfs', ['pagesize=2M', 'size=100M']);
  mountWith('mqueue', ['nosuid', 'noexec', 'nodev'], '/dev/mqueue');
  assert.deepEqual(admitMounts([], refuse), []);
});

test('an option X-kata.* of a mount is refused by name: Kata has none for mounts of a container', () => {
  refuses(/option "X-kata.overlay=1" is not known for bind/, 'bind', ['rbind', 'X-kata.overlay=1']);
});

test('a mount that runc would bind must have the type bind, which rules see', () => {
  for (const option of ['bind', 'rbind']) {
    for (const type of ['tmpfs', 'proc', 'none', ''])
      refuses(/its type must be "bind"/, type, ['ro', option]);
    assert.equal(mountWith('bind', ['ro', option])?.type, 'bind');
  }
  assert.equal(mountWith('bind', [])?.type, 'bind');
  for (const type of ['none', '']) refuses(/not allowed in containers/, type, ['ro']);
});

test('kernel file systems are mounted once, and only a tmpfs at /dev, except for privileged containers', () => {
  const proc = { destination: '/proc', type: 'proc', source: 'proc', options: [] };
  const device = { destination: '/dev', type: 'bind', source: '/s', options: ['rbind'] };
  for (const mounts of [[proc, proc], [device]]) {
    assert.throws(() => admitMounts(mounts, { privileged: 'refuse', cgroupNamespace: false }), {
      kind: 'refused',
    });
    assert.equal(admitMounts(mounts, { privileged: 'allow', cgroupNamespace: false }).length, mounts.length);
  }
});
