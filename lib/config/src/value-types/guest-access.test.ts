import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  containerCapability,
  containerMount,
  guestDevice,
  guestExtension,
  guestPath,
  kernelModule,
  sysctl,
} from './guest-access.js';
import { listOf } from './collections.js';
import type { ValueType } from './value-type.js';

function accepts(type: ValueType<string>, good: readonly string[], bad: readonly string[]): void {
  for (const text of good) assert.deepEqual(type.fromText(text), { ok: true, value: text }, text);
  for (const text of bad) assert.equal(type.fromText(text).ok, false, JSON.stringify(text));
}

test('a device is a node below /dev, a character device by number, or a CDI device', () => {
  accepts(
    guestDevice,
    ['/dev/fuse', '/dev/net/tun', '/dev/tpmx', 'c 10:200', 'c 0:0', 'nvidia.com/gpu=0', 'a/b=all'],
    [
      '',
      'fuse',
      '/dev',
      '/dev/',
      '/dev/../etc',
      '/dev//fuse',
      '/etc/x',
      'b 8:0',
      'c 10',
      'c 10:*',
      'c 01:2',
      'c  1:3',
      '/dev/tpm0',
      '/dev/tpmrm0',
      '/dev/sev-guest',
      '/dev/tdx_guest',
      'c 10:224',
      'nvidia.com/gpu',
      'nvidia.com/gpu=',
      'gpu=0',
      'a/b/c=0',
      'a/b=0 ',
      'a/b=*',
    ],
  );
});

test('a guest path is absolute and clean', () => {
  accepts(
    guestPath,
    ['/opt/models', 'rw:/var/cache', '/run/x y'],
    ['', '/', 'rw:/', 'rw:', 'ro:/opt', 'opt', '/opt/', '/opt//x', '/opt/../etc', '/./opt', '/a\nb'],
  );
});

test('a path where a container that writes is root of the guest can only be read', () => {
  accepts(
    guestPath,
    [
      '/proc',
      '/sys/fs/cgroup',
      '/dev',
      '/etc',
      'rw:/dev/shm',
      'rw:/proc2',
      'rw:/run/x',
      'rw:/etcetera',
      'rw:/libs',
    ],
    [
      'rw:/proc',
      'rw:/proc/sys/net',
      'rw:/sys/fs/cgroup',
      'rw:/dev',
      'rw:/etc/x',
      'rw:/usr',
      'rw:/run/systemd/system',
    ],
  );
  const refused = guestPath.fromText('rw:/sys/fs/cgroup');
  assert.match(
    refused.ok ? '' : refused.expected,
    /\(\/sys: cgroups, .*; only privileged_containers = "allow" gives it\)/,
  );
});

test('only a capability that keeps a process in its container can be listed', () => {
  accepts(
    containerCapability,
    ['CAP_NET_ADMIN', 'CAP_SYS_PTRACE'],
    ['CAP_SYS_ADMIN', 'CAP_BPF', 'NET_ADMIN', ''],
  );
});

test('a kernel module has its parameters after single spaces', () => {
  accepts(
    kernelModule,
    ['ib_core', 'nf_conntrack hashsize=65536', 'x a=1 b'],
    ['', '-r', 'x  a=1', 'x -f', 'x a="1"', 'a/b', ' x', 'x '],
  );
});

test('a sysctl is a dotted name without a pattern', () => {
  accepts(
    sysctl,
    ['net.core.somaxconn', 'kernel.shm_rmid_forced'],
    ['', 'net', 'net.*', 'net/core', '.a.b', 'a..b'],
  );
});

test('the error for a list names the invalid entry', () => {
  const list = listOf(sysctl, 'list of sysctls');
  assert.deepEqual(list.fromText('net.a,net.b'), { ok: true, value: ['net.a', 'net.b'] });
  assert.deepEqual(list.fromText(''), { ok: true, value: [] });
  assert.equal(list.fromText('net.a,net.*').ok, false);
  assert.equal(list.write(['net.a']), '["net.a"]');
});

test('a mount is the name of a container and a clean mount point', () => {
  for (const good of ['web=/data', 'web-0.a_b=/srv/a=b', 'w=/..data', 'w=/a b'])
    assert.deepEqual(containerMount.fromText(good), { ok: true, value: good });
  for (const bad of [
    '',
    '/data',
    '=/data',
    'web',
    'web=',
    'web=/',
    'web=data',
    'web=/a/',
    'web=/a//b',
    'web=/a/../b',
    'web=/.',
    'a/b=/c',
  ])
    assert.equal(containerMount.fromText(bad).ok, false, bad);
});

test('an extension image has a name and a root hash', () => {
  const hash = `sha256:${'0a'.repeat(32)}`;
  for (const good of [`devkit=${hash}`, `a_b-1=${hash}`])
    assert.deepEqual(guestExtension.fromText(good), { ok: true, value: good });
  const wrong = [
    '',
    'devkit',
    hash,
    `=${hash}`,
    `a.b=${hash}`,
    `../x=${hash}`,
    `devkit=${hash}0`,
    `devkit=${hash.toUpperCase()}`,
    'devkit=sha256:',
    `devkit=${'0a'.repeat(32)}`,
    `devkit=${hash} `,
  ];
  for (const bad of wrong) assert.equal(guestExtension.fromText(bad).ok, false, bad);
});
