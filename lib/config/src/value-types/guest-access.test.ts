import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestDevice, guestPath, kernelModule, sysctl } from './guest-access.js';
import { listOf } from './list-of.js';
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
