import assert from 'node:assert/strict';
import { readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CreateContainer } from '../request/actions.js';
import { openAccess } from '../guest-access.js';
import { createContainer } from '../perform/containers.js';
import { RealGuest, skip } from '../testing/real-guest.js';
import { makeTree } from '../testing/tree.js';

const routeLocalnet = 'net.ipv4.conf.eth0.route_localnet';

for (const privileged of ['refuse', 'allow'] as const) {
  test(`a create that fails leaves no sysctl changed, under privileged_containers = "${privileged}"`, {
    skip,
  }, async () => {
    const proc = makeTree({
      'sys/net/ipv4/conf/eth0/route_localnet': '0\n',
      'sys/net/ipv4/ping_group_range': '1\t0\n',
      'sys/kernel/pid_max': '32768\n',
      'sys/kernel/threads-max': '32768\n',
    });
    symlinkSync('/proc/self', join(proc, 'self'));
    const value = (path: string): string => readFileSync(join(proc, 'sys/net/ipv4', path), 'utf8');
    // It creates no container.
    const real = await RealGuest.open({
      runtime: '/bin/false',
      paths: { proc },
      access: { ...openAccess, privileged, sysctls: [routeLocalnet] },
    });
    const attempt = (sysctl: Readonly<Record<string, string>>): Promise<void> => {
      const id = real.id();
      const spec = real.spec(['true']);
      const action: CreateContainer = {
        id,
        execId: id,
        spec: { ...spec, linux: { ...spec.linux, sysctl } },
        storages: [],
        sandboxPidns: false,
      };
      return createContainer(real.guest, action);
    };
    try {
      const both = { [routeLocalnet]: '1', 'net/ipv4/ping_group_range': '5 5' };
      await assert.rejects(attempt(both), { kind: 'internal' });
      assert.equal(value('conf/eth0/route_localnet'), '0\n');
      assert.equal(value('ping_group_range'), '1\t0\n');
      // A value that the kernel refuses rolls back those before it; a denied name lets none be written.
      await assert.rejects(attempt({ ...both, 'net/ipv4/conf/eth0': '1' }), { name: 'GuestError' });
      assert.equal(value('conf/eth0/route_localnet'), '0\n');
      if (privileged === 'refuse') {
        const message =
          'sysctl net.ipv4.ip_forward is refused; help: add it to sysctls = ["net.ipv4.ip_forward"]';
        await assert.rejects(attempt({ 'net/ipv4/ip_forward': '1' }), { kind: 'refused', message });
      }
      assert.deepEqual(
        real.log.filter((line) => line.includes('could not undo: sysctls')),
        [],
      );
    } finally {
      await real.close();
      rmSync(proc, { recursive: true });
    }
  });
}
