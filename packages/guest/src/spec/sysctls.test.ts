import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeSysctls } from './sysctls.js';

const proc = mkdtempSync(join(tmpdir(), 'guest-sysctls-'));
after(() => rmSync(proc, { recursive: true }));

test('sysctls are written below /proc/sys; those that do not exist are told, not made', () => {
  mkdirSync(join(proc, 'sys/net/ipv4/conf/eth0.1'), { recursive: true });
  writeFileSync(join(proc, 'sys/net/ipv4/ip_forward'), '0');
  writeFileSync(join(proc, 'sys/net/ipv4/conf/eth0.1/forwarding'), '0');
  const missing = writeSysctls(
    {
      'net.ipv4.ip_forward': '1',
      'net/ipv4/conf/eth0.1/forwarding': '1',
      'net.ipv4.ip_unprivileged_port_start': '0',
    },
    proc,
  );
  assert.deepEqual(missing, ['net.ipv4.ip_unprivileged_port_start']);
  assert.equal(readFileSync(join(proc, 'sys/net/ipv4/ip_forward'), 'utf8'), '1');
  assert.equal(readFileSync(join(proc, 'sys/net/ipv4/conf/eth0.1/forwarding'), 'utf8'), '1');
});
