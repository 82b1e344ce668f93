import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { GuestError } from '../guest-error.js';
import { podNetwork, SysctlChanges } from './sysctl-changes.js';

let proc = '';
beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'guest-sysctls-'));
  mkdirSync(join(proc, 'sys/net/ipv4/conf/eth0.1'), { recursive: true });
  writeFileSync(join(proc, 'sys/net/ipv4/ip_forward'), '0\n');
  writeFileSync(join(proc, 'sys/net/ipv4/conf/eth0.1/forwarding'), '0\n');
});
afterEach(() => rmSync(proc, { recursive: true }));

const forwarding = (): string => readFileSync(join(proc, 'sys/net/ipv4/ip_forward'), 'utf8');

test('sysctls are written below /proc/sys; missing ones are returned and not created', () => {
  const changes = new SysctlChanges(podNetwork, proc);
  const missing = changes.write({
    'net.ipv4.ip_forward': '1',
    'net/ipv4/conf/eth0.1/forwarding': '1',
    'net.ipv4.ip_unprivileged_port_start': '0',
  });
  assert.deepEqual(missing, ['net.ipv4.ip_unprivileged_port_start']);
  assert.match(forwarding(), /^1/);
  assert.match(readFileSync(join(proc, 'sys/net/ipv4/conf/eth0.1/forwarding'), 'utf8'), /^1/);
  changes.keep();
  changes.rollBack();
  assert.match(forwarding(), /^1/, 'they stay after the container was created');
});

test('a failed create restores its sysctls, except those that another create has changed since', () => {
  const changes = new SysctlChanges(podNetwork, proc);
  mkdirSync(join(proc, 'sys/net/ipv4/wrong'));
  assert.throws(() => changes.write({ 'net.ipv4.ip_forward': '1', 'net.ipv4.wrong': '1' }), {
    kind: 'invalid',
    message: /sysctl net\.ipv4\.wrong/,
  });
  changes.rollBack();
  assert.equal(forwarding(), '0\n');
  const first = new SysctlChanges(podNetwork, proc);
  first.write({ 'net.ipv4.ip_forward': '1' });
  new SysctlChanges(podNetwork, proc).write({ 'net.ipv4.ip_forward': '2' });
  first.rollBack();
  assert.match(forwarding(), /^2/);
});

test('a failed create rolls back its own sysctls, not those of a concurrent create', () => {
  const begun = (value: string): SysctlChanges => {
    const changes = new SysctlChanges(podNetwork, proc);
    changes.write({ 'net.ipv4.ip_forward': value });
    return changes;
  };
  const [failing, made] = [begun('1\n'), begun('1\n')];
  failing.rollBack();
  assert.equal(forwarding(), '1\n', 'the other create requested the same value');
  made.keep();
  made.rollBack();
  assert.equal(forwarding(), '1\n');
  const [kept, later] = [begun('2\n'), begun('3\n')];
  kept.keep();
  later.rollBack();
  assert.equal(forwarding(), '2\n', 'the value of the earlier container');
  const both = [begun('3\n'), begun('3\n'), begun('4\n')];
  for (const each of both) each.rollBack();
  assert.equal(forwarding(), '2\n', 'all creates failed');
  const reversed = [begun('3\n'), begun('4\n')].reverse();
  for (const each of reversed) each.rollBack();
  assert.equal(forwarding(), '2\n', 'in any order');
  const [early, late] = [begun('5\n'), begun('6\n')];
  late.keep();
  early.rollBack();
  assert.equal(forwarding(), '6\n', 'a later container was created meanwhile');
});

test('containers that share a namespace share the changes of its sysctls, and no others', () => {
  let current = '';
  const inNamespace = (name: string): SysctlChanges =>
    new SysctlChanges(
      {
        identity: () => name,
        within: (_, task) => {
          current = name;
          writeFileSync(join(proc, 'sys/net/ipv4/ip_forward'), values.get(name) ?? '');
          task();
          values.set(name, forwarding());
        },
      },
      proc,
    );
  const values = new Map([
    ['ipc:1', '0\n'],
    ['ipc:2', '7\n'],
  ]);
  const [first, second, other] = [inNamespace('ipc:1'), inNamespace('ipc:1'), inNamespace('ipc:2')];
  for (const [changes, value] of [
    [first, '1\n'],
    [second, '2\n'],
    [other, '3\n'],
  ] as const)
    changes.write({ 'net.ipv4.ip_forward': value });
  first.rollBack();
  assert.equal(current, 'ipc:2', 'the later change stays, so nothing is written');
  second.rollBack();
  assert.equal(values.get('ipc:1'), '0\n', 'both failed');
  assert.equal(values.get('ipc:2'), '3\n');
  other.rollBack();
  assert.equal(values.get('ipc:2'), '7\n');
});

test('a container without the namespace writes nothing', () => {
  const within = (): void => {
    throw new GuestError('invalid', 'no such namespace');
  };
  const changes = new SysctlChanges({ identity: () => '', within }, proc);
  assert.throws(() => changes.write({ 'net.ipv4.ip_forward': '1' }), {
    kind: 'invalid',
    message: 'no such namespace',
  });
  assert.equal(forwarding(), '0\n');
});
