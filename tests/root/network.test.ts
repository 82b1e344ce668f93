import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { IPFamily } from '@kata-agent/protocol/types';
import { Code } from '@kata-agent/ttrpc';
import { AgentProcess, type AgentConnection } from '../harness/agent-process.js';
import { whyNoContainers } from '../harness/rootfs.js';

/** The ends of a veth pair in the agent's network namespace and in the test's. */
const guestLink = 'ens3';
const hostLink = `kata-t${process.pid % 100_000}`;
const hwAddr = '02:00:00:00:0a:01';

/** Runs a program in the agent's network namespace. */
function inGuest(agent: AgentProcess, ...command: readonly string[]): string {
  return execFileSync('nsenter', ['--net', '--target', String(agent.process.pid), ...command], {
    encoding: 'utf8',
  });
}

describe('the network of the guest through the API', {
  skip: whyNoContainers('iproute2', 'iptables') ?? false,
}, () => {
  let agent: AgentProcess;
  let client: AgentConnection['agent'];

  before(async () => {
    agent = await AgentProcess.start();
    client = (await agent.connect()).agent;
    const peer = ['peer', 'name', guestLink, 'address', hwAddr, 'netns', String(agent.process.pid)];
    execFileSync('ip', ['link', 'add', hostLink, 'type', 'veth', ...peer]);
    execFileSync('ip', ['address', 'add', '10.231.0.1/24', 'dev', hostLink]);
    execFileSync('ip', ['link', 'set', hostLink, 'up']);
  });
  after(() => agent?.dispose());

  it('an interface that is configured as by both runtimes carries traffic', async () => {
    await assert.rejects(
      client.updateInterface({ interface: { name: 'eth0', hwAddr: '02:00:00:00:0a:99', mtu: 1500n } }),
      { message: 'Link not found (Address: 02:00:00:00:0a:99)' },
    );
    const requested = {
      name: 'eth0',
      device: 'eth0',
      hwAddr,
      mtu: 1450n,
      IPAddresses: [{ family: IPFamily.v4, address: '10.231.0.2', mask: '24' }],
    };
    const configured = await client.updateInterface({ interface: requested });
    assert.equal(configured.name, 'eth0');
    const { Routes: routes } = await client.updateRoutes({
      routes: { Routes: [{ device: 'eth0', gateway: '10.231.0.1', family: IPFamily.v4 }] },
    });
    assert.ok(routes.some(({ dest, gateway }) => dest === '0.0.0.0/0' && gateway === '10.231.0.1'));
    await client.addARPNeighbors({
      neighbors: {
        ARPNeighbors: [
          {
            toIPAddress: { family: IPFamily.v4, address: '10.231.0.77', mask: '' },
            device: 'eth0',
            lladdr: '02:00:00:00:0a:77',
            state: 0x80,
          },
        ],
      },
    });
    const { Interfaces: links } = await client.listInterfaces({});
    const eth0 = links.find(({ name }) => name === 'eth0');
    assert.equal(eth0?.hwAddr, hwAddr.toUpperCase());
    assert.equal(eth0.device, '');
    assert.equal(eth0?.mtu, 1450n);
    assert.ok(eth0?.IPAddresses.some(({ address, mask }) => address === '10.231.0.2' && mask === '24'));
    assert.deepEqual((await client.listRoutes({})).Routes, routes);
    assert.match(inGuest(agent, 'ip', 'address', 'show', 'eth0'), /mtu 1450 .*state UP/);
    assert.match(inGuest(agent, 'ip', 'route'), /^default via 10\.231\.0\.1 dev eth0/m);
    assert.match(inGuest(agent, 'ip', 'neigh'), /10\.231\.0\.77 dev eth0 lladdr 02:00:00:00:0a:77 PERMANENT/);
    assert.equal(await receiveFrom(agent), 'from the guest');
  });

  it('network-lists: interfaces have the families of their addresses, and routes can be set again', async () => {
    const { v4, v6 } = IPFamily;
    const addresses = [
      { family: v4, address: '10.231.0.2', mask: '24' },
      { family: v6, address: 'fd23::2', mask: '64' },
    ];
    await client.updateInterface({
      interface: { name: 'eth0', device: 'eth0', hwAddr, mtu: 1450n, IPAddresses: addresses },
    });
    const eth0 = (await client.listInterfaces({})).Interfaces.find(({ name }) => name === 'eth0');
    for (const { family, address } of addresses) {
      const listed = eth0?.IPAddresses.find((each) => each.address === address);
      assert.equal(listed?.family, family, address);
    }
    // It works at once, as the address of no other machine.
    assert.match(inGuest(agent, 'ip', 'address', 'show', 'eth0'), /inet6 fd23::2\/64 scope global nodad\b/);
    const routes = [
      { family: v4, dest: '', gateway: '10.231.0.1', source: '10.231.0.2', flags: 0 },
      // A gateway that no route leads to is reached by ONLINK alone.
      { family: v4, dest: '192.0.2.0/24', gateway: '198.51.100.1', source: '', flags: 4 },
      { family: v6, dest: '', gateway: 'fd23::1', source: '', flags: 0 },
      { family: v6, dest: '2001:db8:1::/48', gateway: 'fd23::1', source: '', flags: 0 },
    ].map((route) => ({ ...route, device: 'eth0' }));
    await client.updateRoutes({ routes: { Routes: routes } });
    const listed = (await client.listRoutes({})).Routes;
    const defaults = new Map([
      [v4, '0.0.0.0/0'],
      [v6, '::/0'],
    ]);
    for (const { family, dest, gateway, source, flags } of routes) {
      const wanted = dest === '' ? defaults.get(family) : dest;
      const route = listed.find((each) => each.dest === wanted);
      assert.ok(route, `${wanted} is not listed`);
      assert.deepEqual(
        [route.family, route.gateway, route.source, route.flags],
        [family, gateway, source, flags],
        wanted,
      );
    }
    const shown = () => inGuest(agent, 'ip', 'route') + inGuest(agent, 'ip', '-6', 'route');
    const before = shown();
    inGuest(agent, 'ip', 'route', 'delete', 'default');
    inGuest(agent, 'ip', 'route', 'delete', '192.0.2.0/24');
    inGuest(agent, 'ip', '-6', 'route', 'delete', 'default');
    inGuest(agent, 'ip', '-6', 'route', 'delete', '2001:db8:1::/48');
    // The kernel would add its own IPv6 routes a second time, with another metric.
    const again = listed.filter(({ family, gateway }) => family === v4 || gateway !== '');
    await client.updateRoutes({ routes: { Routes: again } });
    assert.deepEqual((await client.listRoutes({})).Routes, listed);
    const lines = (text: string) =>
      text
        .split('\n')
        .map((line) => line.trim())
        .sort();
    // A route that the kernel added for an address is the agent's when it is set again.
    const withoutOrigin = (text: string) => lines(text.replaceAll(' proto kernel', ''));
    assert.deepEqual(withoutOrigin(shown()), withoutOrigin(before));
  });

  it('iptables rules are read and replaced atomically and take effect', async () => {
    const rules = '*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p udp --dport 7790 -j DROP\nCOMMIT\n';
    await client.setIPTables({ isIpv6: false, data: Buffer.from(rules) });
    const { data } = await client.getIPTables({ isIpv6: false });
    assert.match(Buffer.from(data).toString(), /-A OUTPUT -p udp .*--dport 7790 -j DROP/);
    const send = `const s = require('dgram').createSocket('udp4'); s.send('x', 7790, '10.231.0.1', () => s.close())`;
    inGuest(agent, process.execPath, '-e', send);
    assert.match(inGuest(agent, 'iptables', '--list', 'OUTPUT', '--verbose', '--numeric'), /^ +1 .* DROP/m);
    await assert.rejects(
      client.setIPTables({ isIpv6: false, data: Buffer.from('*filter\n-A NOWHERE\nCOMMIT\n') }),
      {
        message: /iptables-restore refused the rules/,
      },
    );
    assert.deepEqual((await client.getIPTables({ isIpv6: true })).data instanceof Uint8Array, true);
  });

  it('requests without content are rejected and change nothing', async () => {
    // The kernel marks an IPv6 address as tentative during duplicate address detection.
    const addresses = () => inGuest(agent, 'ip', '-details', 'address').replaceAll(' tentative', '');
    const before = addresses();
    for (const call of [
      () => client.updateInterface({}),
      () => client.updateInterface({ interface: {} }),
      () => client.updateRoutes({}),
      () => client.updateRoutes({ routes: { Routes: [{}] } }),
      () => client.addARPNeighbors({}),
      () => client.addARPNeighbors({ neighbors: { ARPNeighbors: [{}] } }),
      () => client.setGuestDateTime({}),
      // After 2262: checked before the clock is set.
      () => client.setGuestDateTime({ Sec: 9_223_372_037n }),
    ])
      await assert.rejects(call(), { code: Code.InvalidArgument });
    assert.equal(addresses(), before);
  });
});

const port = 7789;

/** Returns the data that a server on the test's end receives from a client in the guest. */
async function receiveFrom(agent: AgentProcess): Promise<string> {
  const listen = `require('net').createServer((s) => { s.on('data', (d) => process.stdout.write(d)); s.on('close', () => process.exit()); }).listen(${port}, '10.231.0.1', () => process.stderr.write('ready'))`;
  const server = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'pipe'] });
  let received = '';
  server.stdout.on('data', (data: Buffer) => {
    received += data.toString();
  });
  await once(server.stderr, 'data');
  try {
    inGuest(
      agent,
      process.execPath,
      '-e',
      `require('net').connect(${port}, '10.231.0.1', function () { this.end('from the guest'); })`,
    );
    await once(server, 'close');
    return received;
  } finally {
    server.kill();
  }
}
