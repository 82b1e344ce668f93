import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkInterface, checkNeighbour, checkRoute, type Neighbour, type Route } from './network-values.js';
import { sampleInterface, sampleRoute } from '../testing/network-namespace.js';

const eth0 = sampleInterface;
const route = sampleRoute;
const neighbour: Neighbour = {
  address: '10.0.0.9',
  device: 'eth0',
  hwAddr: '02:00:00:00:00:09',
  state: 0,
  flags: 0,
};
const refused = { kind: 'refused', message: /loopback belongs to the pod/ };

test('the loopback interface is refused by name and by hardware address', () => {
  for (const wrong of [
    { name: 'lo' },
    { hwAddr: '00:00:00:00:00:00' },
    { hwAddr: '00:00:00:00:00:00', devicePath: '02/01' },
    { hwAddr: Array(20).fill('00').join(':') },
  ])
    assert.throws(() => checkInterface({ ...eth0, ...wrong }), refused, JSON.stringify(wrong));
});

test('loopback addresses, and addresses whose network contains them, are refused', () => {
  const addresses = [
    ['127.0.0.1', 8],
    ['127.255.255.254', 32],
    // The kernel makes 127.255.255.255 the broadcast address of these.
    ['126.0.0.1', 7],
    ['64.0.0.1', 2],
    ['10.0.0.1', 0],
    ['::1', 128],
    ['0:0:0:0:0:0:0:1', 64],
    ['::5', 64],
    ['::ffff:127.0.0.1', 128],
    ['::FFFF:7f12:3456', 96],
    ['::127.0.0.1', 128],
  ] as const;
  for (const [address, prefix] of addresses)
    assert.throws(
      () => checkInterface({ ...eth0, addresses: [{ address, prefix }] }),
      refused,
      `${address}/${prefix}`,
    );
  for (const [address, prefix] of [
    ['10.0.0.1', 8],
    ['128.0.0.1', 1],
    ['fd00::1', 64],
    ['fe80::1', 10],
    ['::ffff:10.0.0.1', 104],
  ] as const)
    checkInterface({ ...eth0, addresses: [{ address, prefix }] });
});

test('an MTU at which the kernel removes IPv4 from an interface is refused', () => {
  for (const mtu of [1, 60, 67]) assert.throws(() => checkInterface({ ...eth0, mtu }), { kind: 'invalid' });
  for (const mtu of [0, 68, 65_536]) checkInterface({ ...eth0, mtu });
  for (const name of ['all', 'default'])
    assert.throws(() => checkInterface({ ...eth0, name }), { kind: 'invalid' });
});

test('routes to, over or from loopback addresses, and over the loopback interface, are refused', () => {
  const wrong: readonly Partial<Route>[] = [
    { device: 'lo' },
    { dest: '127.0.0.0/8' },
    { dest: '127.0.0.1' },
    { dest: '127.128.0.0/9', scope: 254 },
    { dest: '10.0.0.0/8', gateway: '127.0.0.1' },
    { gateway: '127.1.2.3', flags: 4 },
    { source: '127.0.0.1' },
    { source: '127.0.0.0/9' },
    { family: 'v6', dest: '::1' },
    { family: 'v6', dest: '::/96' },
    { family: 'v6', dest: '::1/64' },
    { family: 'v6', dest: '0::0:1/128' },
    { family: 'v6', dest: '::ffff:127.0.0.0/104' },
    { family: 'v6', dest: '::ffff:7f00:1/128' },
    { family: 'v6', gateway: '::1' },
    { family: 'v6', source: '::1/128' },
  ];
  for (const one of wrong)
    assert.throws(() => checkRoute({ ...route, ...one }), refused, JSON.stringify(one));
});

test('wide routes pass: the kernel resolves loopback before them', () => {
  const fine: readonly Partial<Route>[] = [
    {},
    { dest: '0.0.0.0/0', gateway: '10.0.0.1' },
    { dest: '0.0.0.0/1' },
    { dest: '64.0.0.0/2' },
    { dest: '126.0.0.0/8' },
    { dest: '128.0.0.0/1' },
    { family: 'v6', dest: '::/0', gateway: 'fd00::1' },
    { family: 'v6', dest: '::/1' },
    { family: 'v6', dest: '64:ff9b::/96' },
    { family: 'v6', dest: '2000::/3', source: 'fd00::/64' },
  ];
  for (const one of fine) checkRoute({ ...route, ...one });
});

test('neighbours with a loopback address, or on the loopback interface, are refused', () => {
  for (const wrong of [
    { address: '127.0.0.1' },
    { address: '::1' },
    { address: '::ffff:127.0.0.9' },
    { device: 'lo' },
  ])
    assert.throws(() => checkNeighbour({ ...neighbour, ...wrong }), refused, JSON.stringify(wrong));
  checkNeighbour(neighbour);
});
