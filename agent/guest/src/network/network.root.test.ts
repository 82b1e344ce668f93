import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, test } from 'node:test';
import type { TaskTools } from '@kata-agent/linux';
import { mediaTasks } from '../media-thread/tasks.js';
import { NetworkNamespace, sampleInterface, sampleRoute } from '../testing/network-namespace.js';
import { skipWithout } from '../testing/real-guest.js';
import { SystemTools } from '../tool/tools.js';
import { links } from './links.js';
import { addNeighbours } from './neighbours.js';
import type { Interface, Route } from './network-values.js';
import { readPacketFilter, replacePacketFilter } from './packet-filter.js';
import { listRoutes, updateRoutes } from './routes.js';
import { updateInterface } from './update-interface.js';

const skip = skipWithout('ip', 'iptables');

let guest: NetworkNamespace;
let host: NetworkNamespace;

beforeEach(() => {
  if (skip !== false) return;
  guest = new NetworkNamespace();
  host = new NetworkNamespace();
  guest.connect('ens3', host, 'tap0');
  host.ip('link', 'set', 'tap0', 'up');
  host.ip('address', 'add', '10.9.0.1/24', 'dev', 'tap0');
  host.ip('address', 'add', 'fd09::1/64', 'dev', 'tap0', 'nodad');
});
afterEach(() => {
  if (skip !== false) return;
  guest.remove();
  host.remove();
});

async function hwAddrOf(name: string): Promise<string> {
  return (await links(guest.media)).find((link) => link.name === name)?.hwAddr ?? '';
}

function update(wanted: Partial<Interface> & { readonly hwAddr: string }): Promise<void> {
  return updateInterface(
    { name: 'eth0', mtu: 1400, addresses: [], devicePath: '', rawFlags: 0, ...wanted },
    { media: guest.media, proc: '/proc', linkOfDevice: () => 'ens3' },
  );
}

const route = sampleRoute;

test('an interface is found by its address, renamed, and passes traffic of both families', {
  skip,
}, async () => {
  const hwAddr = (await hwAddrOf('ens3')).toUpperCase();
  await update({
    hwAddr,
    addresses: [
      { address: '10.9.0.2', prefix: 24 },
      { address: 'fd09::2', prefix: 64 },
    ],
  });
  const eth0 = (await links(guest.media)).find(({ name }) => name === 'eth0');
  assert.equal(eth0?.mtu, 1400);
  assert.equal(eth0?.up, true);
  assert.ok(eth0?.addresses.some(({ address, prefix }) => address === '10.9.0.2' && prefix === 24));
  assert.ok(eth0?.addresses.some(({ address, prefix }) => address === 'fd09::2' && prefix === 64));
  await updateRoutes(
    [
      // In reverse order on purpose: only the second route makes the gateway reachable.
      { ...route, dest: '192.0.2.0/24', gateway: '10.10.0.1', source: '10.9.0.2', mtu: 1300 },
      { ...route, dest: '10.10.0.1/32', scope: 253 },
      { ...route, family: 'v6', gateway: 'fd09::1' },
      { ...route, gateway: '203.0.113.1', flags: 4 },
    ],
    guest.media,
  );
  const routes = await listRoutes(guest.media);
  const named = (dest: string): Route | undefined => routes.find((each) => each.dest === dest);
  assert.deepEqual(named('192.0.2.0/24'), {
    ...route,
    dest: '192.0.2.0/24',
    gateway: '10.10.0.1',
    source: '10.9.0.2',
    mtu: 1300,
  });
  assert.equal(named('10.10.0.1/32')?.scope, 253);
  assert.equal(named('0.0.0.0/0')?.flags, 4);
  assert.equal(named('::/0')?.gateway, 'fd09::1');
  for (const address of ['10.9.0.1', 'fd09::1']) assert.equal(await throughTcp(address), 'there and back\n');
});

test('an interface name in use is swapped', { skip }, async () => {
  guest.connect('eth0', host, 'tap1');
  guest.ip('link', 'set', 'eth0', 'up');
  const [first, second] = [await hwAddrOf('eth0'), await hwAddrOf('ens3')];
  await update({ hwAddr: second });
  assert.equal(await hwAddrOf('eth0'), second);
  assert.equal(await hwAddrOf('ens3'), first);
  const other = (await links(guest.media)).find(({ name }) => name === 'ens3');
  assert.equal(other?.up, true, 'it is up again');
});

test('a network card of a template gets the requested hardware address', { skip }, async () => {
  await update({ name: 'ens3', hwAddr: '02:aa:bb:cc:dd:ee' });
  assert.equal(await hwAddrOf('ens3'), '02:aa:bb:cc:dd:ee');
  await update({ name: 'eth7', hwAddr: '02:aa:bb:cc:dd:ff', devicePath: '02/01' });
  assert.equal(await hwAddrOf('eth7'), '02:aa:bb:cc:dd:ff');
});

test('of a PCI path and a hardware address that name different links, the address decides', {
  skip,
}, async () => {
  guest.connect('ens9', host, 'tap1');
  const [atPath, addressed] = [await hwAddrOf('ens3'), await hwAddrOf('ens9')];
  await update({ hwAddr: addressed, devicePath: '02/01' });
  assert.equal(await hwAddrOf('eth0'), addressed);
  assert.equal(await hwAddrOf('ens3'), atPath, 'the link at the path is as before');
});

test('a missing link is reported with the text that the runtime expects', { skip }, async () => {
  await assert.rejects(update({ hwAddr: '02:00:00:00:00:99' }), {
    kind: 'not-found',
    message: 'Link not found (Address: 02:00:00:00:00:99)',
  });
  await assert.rejects(updateRoutes([route], guest.media), { message: 'Link not found (Name: eth0)' });
});

test('an unreachable gateway is an invalid argument', { skip }, async () => {
  await update({ hwAddr: await hwAddrOf('ens3'), addresses: [{ address: '10.9.0.2', prefix: 24 }] });
  const unreachable = { ...route, gateway: '198.51.100.1' };
  await assert.rejects(updateRoutes([unreachable], guest.media), { kind: 'invalid', message: /gateway/i });
});

/** Returns the kernel's links, addresses and routes, without lifetimes. Routes of links have the order in which these were set up. */
function network(): string {
  const sorted = (text: string): string => text.split('\n').sort().join('\n');
  const shown = ['-4', '-6'].map((family) =>
    sorted(guest.ip(family, '-details', 'route', 'show', 'table', 'all')),
  );
  const addresses = guest.ip('-details', 'address', 'show').replace(/ tentative/g, '');
  const neighbours = [
    guest.ip('neighbour', 'show', 'nud', 'permanent'),
    guest.ip('neighbour', 'show', 'proxy'),
  ].map(sorted);
  return (
    [addresses, ...shown, ...neighbours]
      .join('\n')
      .replace(/ (pref medium|linkdown)/g, '')
      // The kernel adds it when the duplicate address detection of the link has ended.
      .replace(/^(?:local|anycast) fe80:.*\n/gm, '')
  );
}

test('all routes are restored if the kernel refuses one', { skip }, async () => {
  await update({ hwAddr: await hwAddrOf('ens3'), addresses: [{ address: '10.9.0.2', prefix: 24 }] });
  await updateRoutes([{ ...route, gateway: '10.9.0.1', mtu: 1300 }], guest.media);
  guest.ip('route', 'add', '192.0.2.0/24', 'via', '10.9.0.1', 'metric', '7', 'proto', 'static');
  const before = network();
  const changes = [
    { ...route, dest: '192.0.2.0/24', gateway: '10.9.0.1' },
    { ...route, dest: '203.0.113.0/24', gateway: '10.9.0.1' },
    { ...route, dest: '203.0.113.0/24', gateway: '10.9.0.1', mtu: 1200 },
    { ...route, gateway: '10.9.0.7' },
    { ...route, dest: '192.0.3.0/24', gateway: '198.51.100.1' },
  ];
  await assert.rejects(updateRoutes(changes, guest.media), { kind: 'invalid', message: /gateway/i });
  assert.equal(network(), before);
});

test('a thousand routes, neighbours or addresses are set or restored at once; more are refused', {
  skip,
}, async () => {
  await update({ hwAddr: await hwAddrOf('ens3'), addresses: [{ address: '10.9.0.2', prefix: 24 }] });
  const [last, before] = [1_023, network()];
  const all = Array.from({ length: last + 1 }, (_, index) => `10.100.${index >> 8}.${index & 255}`);
  const routes = all.map((dest) => ({ ...route, dest: `${dest}/32`, scope: 253 }));
  const neighbour = { address: '10.9.0.1', device: 'eth0', hwAddr: '02:00:00:00:00:aa', state: 0, flags: 0 };
  const neighbours = all.map((address) => ({ ...neighbour, address }));
  const addresses = all.map((address) => ({ address, prefix: 32 }));
  const hwAddr = await hwAddrOf('eth0');
  await assert.rejects(
    updateRoutes([...routes.slice(1), { ...route, gateway: '198.51.100.1' }], guest.media),
    {
      kind: 'invalid',
      message: /^route default via 198\.51\.100\.1 .*gateway/i,
    },
  );
  await assert.rejects(addNeighbours(neighbours.with(last, { ...neighbour, hwAddr: '' }), guest.media));
  assert.equal(guest.ip('neighbour', 'show', 'nud', 'permanent'), '');
  await assert.rejects(
    update({ hwAddr, addresses: addresses.with(last, { address: 'ff02::99', prefix: 64 }) }),
    {
      message: /^address ff02::99/,
    },
  );
  assert.equal(network(), before);
  await updateRoutes(routes, guest.media);
  assert.equal(
    (await listRoutes(guest.media)).filter(({ dest }) => dest.startsWith('10.100.')).length,
    1_024,
  );
  await addNeighbours(neighbours, guest.media);
  await update({ hwAddr, addresses });
  const more = { kind: 'invalid', message: /^1025 .*1024/ };
  await assert.rejects(updateRoutes([...routes, route], guest.media), more);
  await assert.rejects(addNeighbours([...neighbours, neighbour], guest.media), more);
  await assert.rejects(update({ hwAddr, addresses: [...addresses, ...addresses.slice(0, 1)] }), more);
});

test('all links are restored if the kernel refuses an interface', { skip }, async () => {
  guest.connect('eth1', host, 'tap1');
  for (const [name, last] of [
    ['ens3', 2],
    ['eth1', 3],
  ] as const) {
    guest.ip('link', 'set', name, 'mtu', '1450', 'up');
    guest.ip('address', 'add', `10.${last}.0.2/24`, 'dev', name);
    guest.ip('address', 'add', `fd0${last}::2/64`, 'dev', name, 'nodad');
    guest.ip('route', 'add', `192.0.${last}.0/24`, 'via', `10.${last}.0.1`, 'mtu', '1300');
    guest.ip('-6', 'route', 'add', `fd1${last}::/64`, 'via', `fd0${last}::1`);
    guest.ip('route', 'add', `198.51.${last}.0/24`, 'via', `10.${last}.0.1`, 'table', '100');
    guest.ip('-6', 'route', 'add', `fd2${last}::/64`, 'via', `fd0${last}::1`, 'table', '100');
    guest.ip('neighbour', 'add', `10.${last}.0.9`, 'lladdr', '02:00:00:00:00:09', 'dev', name);
    guest.ip('neighbour', 'add', 'proxy', `10.${last}.0.10`, 'dev', name);
  }
  const hwAddr = await hwAddrOf('ens3');
  const before = network();
  const addresses = [{ address: '10.7.0.2', prefix: 24 }];
  // The kernel accepts these before it refuses: a name, the name of another link, and an address.
  for (const wanted of [
    { hwAddr, mtu: 65_536 },
    { hwAddr, name: 'eth1', mtu: 65_536 },
    { hwAddr: '02:aa:bb:cc:dd:ee', devicePath: '02/01', mtu: 65_536 },
    { hwAddr, name: 'eth1', addresses: [...addresses, { address: 'ff02::99', prefix: 64 }] },
  ]) {
    await assert.rejects(update({ addresses, ...wanted }));
    assert.equal(network(), before);
  }
});

test('links are restored, too, if a container has given a link their temporary name', { skip }, async () => {
  guest.ip('link', 'set', 'ens3', 'up');
  guest.ip('address', 'add', '10.2.0.2/24', 'dev', 'ens3');
  guest.ip('route', 'add', '192.0.2.0/24', 'via', '10.2.0.1');
  const link = (await links(guest.media)).find(({ name }) => name === 'ens3');
  guest.connect(`kata-back${link?.index}`, host, 'tap9');
  const before = network();
  const refused = update({
    hwAddr: link?.hwAddr ?? '',
    name: 'eth1',
    mtu: 65_536,
    addresses: [{ address: '10.7.0.2', prefix: 24 }],
  });
  await assert.rejects(refused, /could not be restored: EEXIST/);
  assert.equal(network(), before);
});

/** Routes of other tables than main, of each kind that `ip route` can set over eth0. */
const otherTables: readonly (readonly string[])[] = [
  ['-4', '198.51.100.0/24', 'via', '10.9.0.1', 'table', '100'],
  ['-4', 'default', 'via', '10.9.0.1', 'table', '100', 'metric', '7', 'proto', 'static'],
  ['-4', 'default', 'via', '10.9.0.3', 'table', '100', 'metric', '9'],
  [
    '-4',
    '203.0.113.0/24',
    'table',
    '101',
    'nexthop',
    'via',
    '10.9.0.1',
    'weight',
    '1',
    'nexthop',
    'via',
    '10.9.0.3',
    'weight',
    '5',
  ],
  ['-4', 'local', '0.0.0.0/0', 'dev', 'lo', 'table', '133'],
  ['-4', 'blackhole', '192.0.2.0/25', 'table', '102'],
  ['-4', 'unreachable', '192.0.2.128/26', 'table', '102', 'metric', '5'],
  ['-4', 'throw', '192.0.2.192/26', 'table', '102'],
  [
    '-4',
    '192.0.3.0/24',
    'dev',
    'eth0',
    'scope',
    'link',
    'src',
    '10.9.0.2',
    'table',
    '103',
    'mtu',
    'lock',
    '1300',
    'advmss',
    '900',
  ],
  ['-4', '192.0.4.0/24', 'via', '172.31.0.1', 'dev', 'eth0', 'onlink', 'table', '253'],
  ['-4', '192.0.5.0/24', 'via', '10.9.0.1', 'tos', '0x10', 'table', '4000000000'],
  ['-6', '2001:db8:1::/48', 'via', 'fd09::1', 'table', '100', 'metric', '7', 'pref', 'high'],
  ['-6', 'default', 'via', 'fd09::1', 'table', '100'],
  ['-6', '2001:db8:2::/48', 'table', '101', 'nexthop', 'via', 'fd09::1', 'nexthop', 'via', 'fd09::3'],
  ['-6', 'blackhole', '2001:db8:3::/48', 'table', '102'],
  ['-6', 'local', '::/0', 'dev', 'lo', 'table', '133'],
  ['-6', '2001:db8:4::/48', 'from', 'fd09::/64', 'dev', 'eth0', 'table', '103', 'mtu', '1300'],
];

test('routes of other tables are restored after an interface or a route was refused', { skip }, async () => {
  const addresses = [
    { address: '10.9.0.2', prefix: 24 },
    { address: 'fd09::2', prefix: 64 },
  ];
  const hwAddr = await hwAddrOf('ens3');
  await update({ hwAddr, addresses });
  for (const [family = '', ...words] of otherTables) guest.ip(family, 'route', 'add', ...words);
  const before = network();
  const refused: readonly (() => Promise<unknown>)[] = [
    () => update({ hwAddr, addresses, mtu: 65_536 }),
    () => update({ hwAddr, name: 'eth7', addresses: [{ address: 'ff02::99', prefix: 64 }] }),
    () => update({ hwAddr: '02:aa:bb:cc:dd:ee', devicePath: '02/01', mtu: 65_536 }),
    () =>
      updateRoutes(
        [
          { ...route, gateway: '10.9.0.1' },
          { ...route, gateway: '198.51.100.1' },
        ],
        guest.media,
      ),
  ];
  for (const change of refused) {
    await assert.rejects(change());
    assert.equal(network(), before);
  }
});

test('routes of other tables stay when an interface is changed, also with another name', {
  skip,
}, async () => {
  const addresses = [
    { address: '10.9.0.2', prefix: 24 },
    { address: 'fd09::2', prefix: 64 },
  ];
  const hwAddr = await hwAddrOf('ens3');
  await update({ hwAddr, addresses });
  for (const [family = '', ...words] of otherTables) guest.ip(family, 'route', 'add', ...words);
  /** The routes of other tables, without the tables main and local. */
  const others = (name: string): readonly string[] =>
    ['-4', '-6']
      .flatMap((family) => guest.ip(family, '-oneline', 'route', 'show', 'table', 'all').split('\n'))
      .filter((line) => / table /.test(line) && !/ table local /.test(line))
      .map((line) =>
        line
          .replace(/ (pref medium|linkdown)/g, '')
          .replaceAll(`dev ${name} `, 'dev LINK ')
          .trim(),
      )
      .sort();
  const before = others('eth0');
  assert.equal(before.length, otherTables.length);
  await update({ hwAddr, addresses, mtu: 1300 });
  assert.deepEqual(others('eth0'), before, 'another MTU');
  await update({ hwAddr, name: 'eth7', addresses });
  assert.deepEqual(others('eth7'), before, 'another name');
  // A route that rests on an address which is gone is no reason to refuse the change.
  guest.ip('address', 'flush', 'dev', 'eth7', 'scope', 'global');
  await update({ hwAddr, name: 'eth8', addresses: [{ address: '10.77.0.2', prefix: 24 }] });
});

test('a change whose call was given up while it was made is restored', { skip }, async () => {
  const hwAddr = await hwAddrOf('ens3');
  const addresses = [
    { address: '10.9.0.2', prefix: 24 },
    { address: 'fd09::2', prefix: 64 },
  ];
  await update({ hwAddr, addresses });
  await updateRoutes([{ ...route, gateway: '10.9.0.1' }], guest.media);
  const { index } = (await links(guest.media)).find(({ name }) => name === 'eth0') ?? { index: 0 };
  const wanted = {
    ...sampleInterface,
    name: 'eth7',
    hwAddr,
    addresses: [{ address: '10.7.0.2', prefix: 24 }],
  };
  const neighbour = { address: '10.9.0.9', device: 'eth0', hwAddr, state: 0, flags: 0 };
  const before = network();
  const changes: readonly ((tools: TaskTools) => unknown)[] = [
    (tools) => mediaTasks.configureLink.run({ index, wanted }, tools),
    (tools) => mediaTasks.setRoutes.run({ routes: [{ ...route, gateway: '10.9.0.7' }] }, tools),
    (tools) => mediaTasks.setNeighbours.run({ neighbours: [neighbour] }, tools),
  ];
  for (const change of changes) {
    const states: string[] = [];
    const commit = (): void => {
      states.push(network());
      if (states.length === 2) throw new Error('given up');
    };
    const tools = {
      syscalls: guest.syscalls,
      lent: [],
      bytes: new Uint8Array(0),
      progress: () => undefined,
      commit,
      finish: commit,
    };
    await assert.rejects(async () => change(tools), /given up/);
    assert.notEqual(states[1], before, 'it was made');
    assert.equal(network(), before);
  }
});

test('neighbours are set and replaced', { skip }, async () => {
  await update({ hwAddr: await hwAddrOf('ens3') });
  const neighbour = { address: '10.9.0.1', device: 'eth0', hwAddr: '02:00:00:00:00:aa', state: 0, flags: 0 };
  const v6 = { ...neighbour, address: 'fd09::1', flags: 0x80 };
  await addNeighbours([neighbour, v6], guest.media);
  await addNeighbours([{ ...neighbour, hwAddr: '02:00:00:00:00:ab' }], guest.media);
  const shown = guest.ip('neighbour', 'show');
  assert.match(shown, /10\.9\.0\.1 dev eth0 lladdr 02:00:00:00:00:ab PERMANENT/);
  assert.match(shown, /fd09::1 dev eth0 lladdr 02:00:00:00:00:aa router PERMANENT/);
});

test('all neighbours are restored if the kernel refuses one', { skip }, async () => {
  await update({ hwAddr: await hwAddrOf('ens3') });
  const neighbour = { address: '10.9.0.1', device: 'eth0', hwAddr: '02:00:00:00:00:aa', state: 0, flags: 0 };
  await addNeighbours([neighbour, { ...neighbour, address: 'fd09::1', flags: 0x80 }], guest.media);
  const neighbours = (): string =>
    guest.ip('neighbour', 'show', 'nud', 'permanent') + guest.ip('neighbour', 'show', 'proxy');
  const before = neighbours();
  const changes = [
    { ...neighbour, hwAddr: '02:00:00:00:00:ab' },
    { ...neighbour, address: 'FD09:0::1' },
    { ...neighbour, address: '10.9.0.3' },
    { ...neighbour, address: '10.9.0.3', hwAddr: '02:00:00:00:00:ab' },
    { ...neighbour, address: '10.9.0.4', flags: 0x08 },
    // A new entry needs a hardware address.
    { ...neighbour, address: '10.9.0.5', hwAddr: '' },
  ];
  await assert.rejects(addNeighbours(changes, guest.media));
  assert.equal(neighbours(), before);
});

test('the packet filter is read, and replaced as a whole', { skip }, async () => {
  for (const family of ['v4', 'v6'] as const) {
    const rules = '*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 81 -j DROP\nCOMMIT\n';
    await replacePacketFilter(family, Buffer.from(rules), guest.tools);
    assert.match(
      (await readPacketFilter(family, guest.tools)).toString(),
      /-A INPUT -p tcp .*--dport 81 -j DROP/,
    );
    const half = '*filter\n:INPUT DROP [0:0]\nCOMMIT\n*nat\n-A NOWHERE -j ACCEPT\nCOMMIT\n';
    await assert.rejects(replacePacketFilter(family, Buffer.from(half), guest.tools), { kind: 'invalid' });
    assert.match((await readPacketFilter(family, guest.tools)).toString(), /:INPUT ACCEPT/);
  }
});

test('the error of a missing tool names its package', async () => {
  const tool = { program: 'kata-no-such-tool', package: 'some-package' };
  await assert.rejects(new SystemTools().run(tool, []), {
    kind: 'precondition',
    message: 'kata-no-such-tool is not in this guest; help: install it (apt-get install some-package)',
  });
});

/** Returns the echo of a server in the host's namespace to a client in the guest's. */
async function throughTcp(address: string): Promise<string> {
  const listen = `require('net').createServer((s) => { s.pipe(s); s.on('close', () => process.exit()); }).listen(7777, '::', () => console.log('ready'))`;
  const server = spawn('ip', ['netns', 'exec', host.name, process.execPath, '-e', listen], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(server.stdout, 'data');
  const send = `const s = require('net').connect(7777, '${address}', () => s.end('there and back\\n')); s.pipe(process.stdout)`;
  const heard = guest.exec(process.execPath, '-e', send);
  await once(server, 'close');
  return heard;
}
