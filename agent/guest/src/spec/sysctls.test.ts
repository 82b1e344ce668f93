import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GuestAccess, openAccess } from '../guest-access.js';
import { canonicalSysctl } from '@kata-agent/catalogue';
import { checkSysctlNames, checkSysctlValues, refuseSysctls, sysctlPath } from './sysctls.js';

function checkSysctls(sysctls: Readonly<Record<string, string>>, access: GuestAccess): void {
  checkSysctlNames(sysctls);
  checkSysctlValues(sysctls);
  refuseSysctls(sysctls, access);
}

test('all spellings of a sysctl have one canonical name', () => {
  const name = (text: string): string => canonicalSysctl(sysctlPath(text));
  for (const text of ['net.ipv4.conf.eth0.route_localnet', 'net/ipv4/conf/eth0/route_localnet'])
    assert.equal(name(text), 'net.ipv4.conf.eth0.route_localnet');
  for (const text of ['net.ipv4.conf.eth0/1.forwarding', 'net/ipv4/conf/eth0.1/forwarding'])
    assert.equal(name(text), 'net.ipv4.conf.eth0/1.forwarding');
  for (const text of ['', '.', 'net..ipv4', 'net/../kernel/x', '/net/ipv4', 'net.ipv4.', 'a b', 'net.ipv4\n'])
    assert.throws(() => name(text), { kind: 'invalid' }, text);
  assert.throws(() => checkSysctlNames({ 'net.ipv4.ip_forward': '1', 'net/ipv4/ip_forward': '0' }), {
    kind: 'invalid',
    message: /appears twice/,
  });
});

test('safe sysctls, those of the container’s namespaces, and those of the configuration pass', () => {
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

test('values of sysctls with a known syntax are checked', () => {
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
