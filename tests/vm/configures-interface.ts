import assert from 'node:assert/strict';
import { it } from 'node:test';
import { IPFamily } from '@kata-agent/protocol/types';
import { shell } from './machine.js';
import type { RunningGuest } from './running-guest.js';

/** The network of a pod on a device of virtio-net, which the relay of this test uses meanwhile. */
export function configuresInterface(guest: RunningGuest): void {
  it('configures an interface of virtio-net, by messages to the kernel alone', async () => {
    const { agent, machine } = guest;
    assert.equal(await shell(machine, 'busybox find /usr -name ip'), '');
    const eth0 = (await agent.listInterfaces({})).Interfaces.find(({ name }) => name === 'eth0');
    const { v4, v6 } = IPFamily;
    const requested = {
      name: 'eth0',
      device: 'eth0',
      hwAddr: eth0?.hwAddr ?? '',
      mtu: 1400n,
      IPAddresses: [
        { family: v4, address: '10.0.2.15', mask: '24' },
        { family: v6, address: 'fd23::2', mask: '64' },
      ],
    };
    await agent.updateInterface({ interface: requested });
    const routes = [
      { family: v4, dest: '', gateway: '10.0.2.2', device: 'eth0' },
      { family: v6, dest: '', gateway: 'fd23::1', device: 'eth0' },
    ];
    const { Routes: set } = await agent.updateRoutes({ routes: { Routes: routes } });
    const gatewayOf = (dest: string): string | undefined => set.find((each) => each.dest === dest)?.gateway;
    assert.deepEqual(['0.0.0.0/0', '::/0'].map(gatewayOf), ['10.0.2.2', 'fd23::1']);
    const neighbour = { toIPAddress: { family: v4, address: '10.0.2.77', mask: '' }, device: 'eth0' };
    const entry = { ...neighbour, lladdr: '02:00:00:00:0a:77', state: 0x80 };
    await agent.addARPNeighbors({ neighbors: { ARPNeighbors: [entry] } });
    const shown = await shell(machine, 'busybox ip address show eth0; busybox ip route; busybox ip neigh');
    for (const line of [
      /eth0: .*\bUP\b.* mtu 1400 /,
      /inet 10\.0\.2\.15\/24 /,
      /inet6 fd23::2\/64 /,
      /^default via 10\.0\.2\.2 dev eth0/m,
      /^10\.0\.2\.77 dev eth0 lladdr 02:00:00:00:0a:77 .*PERMANENT/m,
    ])
      assert.match(shown, line);
    await assert.rejects(
      agent.updateInterface({ interface: { ...requested, name: 'eth9', hwAddr: '02:00:00:00:0a:99' } }),
      {
        message: 'Link not found (Address: 02:00:00:00:0a:99)',
      },
    );
    await assert.rejects(agent.updateInterface({ interface: { ...requested, mtu: 65_536n } }), {
      message: /^interface eth0: .*mtu greater than device maximum/,
    });
    assert.match(await shell(machine, 'busybox ip route'), /^default via 10\.0\.2\.2 dev eth0/m);
  });
}
