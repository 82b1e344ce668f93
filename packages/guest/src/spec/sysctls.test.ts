import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { openAccess } from '../guest-access.js';
import { SysctlChanges } from './sysctl-changes.js';
import { sysctlName, sysctlPath } from './sysctl-name.js';
import { checkSysctls, splitSysctls } from './sysctls.js';

let proc = '';
beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'guest-sysctls-'));
  mkdirSync(join(proc, 'sys/net/ipv4/conf/eth0.1'), { recursive: true });
  writeFileSync(join(proc, 'sys/net/ipv4/ip_forward'), '0\n');
  writeFileSync(join(proc, 'sys/net/ipv4/conf/eth0.1/forwarding'), '0\n');
});
afterEach(() => rmSync(proc, { recursive: true }));

const forwarding = (): string => readFileSync(join(proc, 'sys/net/ipv4/ip_forward'), 'utf8');

test('sysctls are written below /proc/sys; those that do not exist are told, not made', () => {
  const changes = new SysctlChanges(proc);
  const missing = changes.write({
    'net.ipv4.ip_forward': '1',
    'net/ipv4/conf/eth0.1/forwarding': '1',
    'net.ipv4.ip_unprivileged_port_start': '0',
  });
  assert.deepEqual(missing, ['net.ipv4.ip_unprivileged_port_start']);
  assert.match(forwarding(), /^1/);
  assert.match(readFileSync(join(proc, 'sys/net/ipv4/conf/eth0.1/forwarding'), 'utf8'), /^1/);
  changes.keep();
  changes.takeBack();
  assert.match(forwarding(), /^1/, 'they stay with a container that was made');
});

test('what a failed create had written is taken back, but for what somebody has changed since', () => {
  const changes = new SysctlChanges(proc);
  mkdirSync(join(proc, 'sys/net/ipv4/wrong'));
  assert.throws(() => changes.write({ 'net.ipv4.ip_forward': '1', 'net.ipv4.wrong': '1' }), {
    kind: 'invalid',
    message: /sysctl net\.ipv4\.wrong/,
  });
  changes.takeBack();
  assert.equal(forwarding(), '0\n');
  const first = new SysctlChanges(proc);
  first.write({ 'net.ipv4.ip_forward': '1' });
  new SysctlChanges(proc).write({ 'net.ipv4.ip_forward': '2' });
  first.takeBack();
  assert.match(forwarding(), /^2/);
});

test('what a failed create takes back is its own, not what one beside it has asked for', () => {
  const begun = (value: string): SysctlChanges => {
    const changes = new SysctlChanges(proc);
    changes.write({ 'net.ipv4.ip_forward': value });
    return changes;
  };
  const [failing, made] = [begun('1\n'), begun('1\n')];
  failing.takeBack();
  assert.equal(forwarding(), '1\n', 'another one has asked for the same');
  made.keep();
  made.takeBack();
  assert.equal(forwarding(), '1\n');
  const [kept, later] = [begun('2\n'), begun('3\n')];
  kept.keep();
  later.takeBack();
  assert.equal(forwarding(), '2\n', 'of the one that was made before');
  const both = [begun('3\n'), begun('3\n'), begun('4\n')];
  for (const each of both) each.takeBack();
  assert.equal(forwarding(), '2\n', 'all of them failed');
  const reversed = [begun('3\n'), begun('4\n')].reverse();
  for (const each of reversed) each.takeBack();
  assert.equal(forwarding(), '2\n', 'in whatever order');
  const [early, late] = [begun('5\n'), begun('6\n')];
  late.keep();
  early.takeBack();
  assert.equal(forwarding(), '6\n', 'a later one was made meanwhile');
});

test('a sysctl has one name, however it is written', () => {
  const name = (text: string): string => sysctlName(sysctlPath(text));
  for (const text of ['net.ipv4.conf.eth0.route_localnet', 'net/ipv4/conf/eth0/route_localnet'])
    assert.equal(name(text), 'net.ipv4.conf.eth0.route_localnet');
  for (const text of ['net.ipv4.conf.eth0/1.forwarding', 'net/ipv4/conf/eth0.1/forwarding'])
    assert.equal(name(text), 'net.ipv4.conf.eth0/1.forwarding');
  for (const text of ['', '.', 'net..ipv4', 'net/../kernel/x', '/net/ipv4', 'net.ipv4.', 'a b', 'net.ipv4\n'])
    assert.throws(() => name(text), { kind: 'invalid' }, text);
  assert.throws(() => splitSysctls({ 'net.ipv4.ip_forward': '1', 'net/ipv4/ip_forward': '0' }), {
    kind: 'invalid',
    message: /there twice/,
  });
});

test('a container sets what Kubernetes calls safe, what is of its own namespaces, and what is named', () => {
  const access = {
    ...openAccess,
    privileged: 'refuse',
    sysctls: ['net.core.somaxconn', 'net.ipv4.conf.eth0/1.forwarding'],
  } as const;
  for (const name of [
    'net.ipv4.ip_unprivileged_port_start',
    'net.ipv4.ping_group_range',
    'net/ipv4/tcp_rmem',
    'kernel.shm_rmid_forced',
    'kernel/sem',
    'fs.mqueue.msg_max',
    'net.core.somaxconn',
    'net/core/somaxconn',
    'net/ipv4/conf/eth0.1/forwarding',
  ])
    checkSysctls({ [name]: '1' }, access);
  const refused = [
    'net.ipv4.conf.eth0.route_localnet',
    'net/ipv4/conf/all/route_localnet',
    'net.ipv4.conf.lo/1.route_localnet',
    'net.ipv4.conf.lo.disable_policy',
    'net.ipv6.conf.lo.disable_ipv6',
    'net.ipv4.ip_forward',
    'net.core.somaxconn.x',
    'net.core',
    'net',
    'NET.ipv4.ip_forward',
    'Net/ipv4/tcp_rmem',
    'kernel.core_pattern',
    'kernel/core_pattern',
    'kernel.shmmax.x',
    'kernel.hostname',
    'kernel.msg',
    'fs.mqueue',
    'vm.overcommit_memory',
    'user.max_user_namespaces',
  ];
  for (const name of refused)
    assert.throws(
      () => checkSysctls({ 'net.ipv4.tcp_rmem': '1', [name]: '1' }, access),
      { kind: 'refused' },
      name,
    );
  for (const name of refused) checkSysctls({ [name]: '1' }, openAccess);
  assert.throws(() => checkSysctls({ 'net/../x': '1' }, openAccess), { kind: 'invalid' });
});

test('a sysctl whose values are known takes no other text', () => {
  const access = { ...openAccess, sysctls: ['net.ipv4.tcp_congestion_control'] } as const;
  for (const [name, value] of [
    ['kernel.sem', '32000\t1024000000 500\t32000'],
    ['net.ipv4.ping_group_range', '0 2147483647'],
    ['net.ipv4.ip_local_reserved_ports', '8080,9148-9150'],
    ['kernel.shm_rmid_forced', '1\n'],
    ['kernel.domainname', 'nis.example.com'],
    ['kernel.domainname', '(none)'],
    ['net.ipv4.tcp_congestion_control', 'bbr'],
  ] as const)
    checkSysctls({ [name]: value }, access);
  for (const [name, value] of [
    ['fs.mqueue.msg_max', '|/bin/sh -c id'],
    ['kernel.shmmax', '1\n2'],
    ['kernel/sem', '1;2'],
    ['kernel.msgmax', '0x10'],
    ['net.ipv4.tcp_rmem', '1 a'],
    ['kernel.domainname', 'a\nb'],
    ['kernel.domainname', '|/bin/sh'],
    ['kernel.domainname', 'a'.repeat(65)],
  ] as const)
    assert.throws(() => checkSysctls({ [name]: value }, access), { kind: 'invalid' }, `${name} ${value}`);
});
