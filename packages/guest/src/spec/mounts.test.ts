import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OciMount } from '../oci-spec.js';
import { containerMounts, type MountRules } from './mounts.js';

const refuse: MountRules = { privileged: 'refuse', cgroupNamespace: false };
const allow: MountRules = { ...refuse, privileged: 'allow' };

function mountWith(
  type: string,
  options: readonly string[],
  destination = '/m',
  rules: MountRules = refuse,
): OciMount | undefined {
  return containerMounts([{ destination, type, source: '/s', options }], rules)[0];
}

function refuses(
  message: RegExp,
  ...[type, options, destination, rules]: Parameters<typeof mountWith>
): void {
  assert.throws(() => mountWith(type, options, destination, rules), { kind: 'refused', message });
}

test('file systems and options off the lists are refused by name, under privileged containers too', () => {
  for (const rules of [refuse, allow]) {
    for (const type of ['ext4', 'debugfs', 'fuse', '9p', 'overlay', 'none', ''])
      refuses(/not for containers/, type, [], '/m', rules);
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
    // Each file system has its own.
    refuses(/size/, 'proc', ['size=1'], '/proc', rules);
    refuses(/hidepid/, 'proc', ['hidepid=2'], '/proc', rules);
    refuses(/newinstance/, 'tmpfs', ['newinstance'], '/m', rules);
  }
});

test('no option changes a mount that is there, or makes the runtime follow names in the root', () => {
  for (const rules of [refuse, allow])
    for (const type of ['bind', 'cgroup', 'sysfs', 'proc', 'tmpfs'])
      for (const option of ['remount', 'tmpcopyup', 'move'])
        refuses(new RegExp(option), type, [option], '/m', rules);
});

test('a destination is clean, and never the root', () => {
  assert.throws(() => mountWith('bind', [], 'relative'), { kind: 'invalid' });
  assert.throws(() => mountWith('bind', [], '/a/../../b'), { kind: 'invalid' });
  assert.throws(() => mountWith('bind', [], '/a/..'), { kind: 'invalid' });
  assert.throws(() => mountWith('bind', [], '/a\0'), { kind: 'invalid' });
  for (const rules of [refuse, allow])
    for (const root of ['/', '//', '/.', '/./', '///.//'])
      refuses(/replace the root/, 'bind', [], root, rules);
  assert.equal(mountWith('bind', ['rbind'], '/data//x/./')?.destination, '/data/x');
});

test('mounts that others see are for privileged containers', () => {
  for (const option of ['shared', 'rshared', 'unbindable', 'runbindable']) {
    refuses(/privileged/, 'bind', ['rbind', option]);
    assert.deepEqual(mountWith('bind', ['rbind', option], '/m', allow)?.options, ['rbind', option]);
  }
  for (const option of ['private', 'rprivate', 'slave', 'rslave']) mountWith('bind', ['rbind', option]);
});

test('the interfaces of the kernel have one place each, and are not made writable', () => {
  mountWith('proc', ['nosuid', 'noexec', 'nodev'], '/proc');
  mountWith('sysfs', ['nosuid', 'noexec', 'nodev', 'ro'], '/sys');
  mountWith('sysfs', ['ro'], '/sys/');
  mountWith('cgroup', ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'], '/sys/fs/cgroup');
  mountWith('cgroup2', ['rw'], '/sys/fs/cgroup', { ...refuse, cgroupNamespace: true });
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
  // What only begins alike is the container's own.
  mountWith('bind', ['rbind'], '/procedures');
  mountWith('tmpfs', [], '/system');
});

test('what pods have passes, and Kata’s own options do not reach the runtime', () => {
  const bind = mountWith('bind', ['rbind', 'rprivate', 'ro', 'fsgid=2000', 'X-kata.overlay=1']);
  assert.deepEqual(bind?.options, ['rbind', 'rprivate', 'ro']);
  mountWith('tmpfs', ['nosuid', 'strictatime', 'mode=1777', 'size=65536k']);
  mountWith('devpts', ['newinstance', 'ptmxmode=0666', 'gid=5', 'noexec'], '/dev/pts');
  mountWith('hugetlbfs', ['pagesize=2M', 'size=100M']);
  mountWith('mqueue', ['nosuid', 'noexec', 'nodev'], '/dev/mqueue');
  assert.deepEqual(containerMounts(undefined, refuse), []);
});

test('what runc would bind says so by its type, which is what rules look at', () => {
  for (const type of ['tmpfs', 'proc', 'none', ''])
    for (const option of ['bind', 'rbind']) refuses(/its type must be "bind"/, type, ['ro', option]);
  mountWith('bind', ['rbind']);
  mountWith('bind', []);
});

test('the kernel’s file systems are mounted once each, and over /dev nothing but memory, unless all is allowed', () => {
  const proc = { destination: '/proc', type: 'proc', source: 'proc', options: [] };
  const device = { destination: '/dev', type: 'bind', source: '/s', options: ['rbind'] };
  for (const mounts of [[proc, proc], [device]]) {
    assert.throws(() => containerMounts(mounts, { privileged: 'refuse', cgroupNamespace: false }), {
      kind: 'refused',
    });
    assert.equal(
      containerMounts(mounts, { privileged: 'allow', cgroupNamespace: false }).length,
      mounts.length,
    );
  }
});
