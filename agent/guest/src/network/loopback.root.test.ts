import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, test } from 'node:test';
import * as fc from 'fast-check';
import { filterTexts } from '../testing/filter-lines.js';
import { NetworkNamespace, sampleRoute } from '../testing/network-namespace.js';
import { skip } from '../testing/real-guest.js';
import { links } from './links.js';
import { addNeighbours } from './neighbours.js';
import type { Interface } from './network-values.js';
import { checkedFilter, readPacketFilter, replacePacketFilter } from './packet-filter.js';
import { updateRoutes } from './routes.js';
import { updateInterface } from './update-interface.js';

/** S34: a server of the pod at 127.0.0.1 and ::1, one of the host at the same port, and a client in the pod. */
let pod: NetworkNamespace;
let host: NetworkNamespace;
let servers: ChildProcess[] = [];

const port = 7777;

beforeEach(async () => {
  if (skip !== false) return;
  pod = new NetworkNamespace();
  host = new NetworkNamespace();
  pod.connect('eth0', host, 'tap0');
  host.ip('link', 'set', 'tap0', 'up');
  host.ip('address', 'add', '10.9.0.1/24', 'dev', 'tap0');
  host.ip('address', 'add', 'fd09::1/64', 'dev', 'tap0', 'nodad');
  await interfaceOf({});
  servers = [await serve(pod, ['127.0.0.1', '::1'], 'the pod'), await serve(host, ['::'], 'the host')];
});
afterEach(() => {
  if (skip !== false) return;
  for (const server of servers) server.kill();
  pod.remove();
  host.remove();
});

const route = { ...sampleRoute, gateway: '10.9.0.1' };
const refused = { kind: 'refused', message: /loopback belongs to the pod/ };

test('an interface and a route that would send 127.0.0.1 to the host are refused', {
  skip,
}, async () => {
  // The first of the calls set this sysctl in a create that failed.
  pod.exec('sysctl', '-qw', 'net.ipv4.conf.all.route_localnet=1');
  await assert.rejects(interfaceOf({ name: 'lo', hwAddr: '00:00:00:00:00:00', mtu: 60 }), refused);
  await assert.rejects(updateRoutes([{ ...route, dest: '127.0.0.0/8' }], pod.media), refused);
  await loopbackIsThePods();
});

test('variant: the loopback interface by another name, its PCI path, or a rename', { skip }, async () => {
  const before = pod.ip('-json', 'address', 'show', 'lo');
  const attempts: readonly (readonly [Partial<Interface>, string])[] = [
    [{ name: 'lo' }, 'eth0'],
    [{ name: 'eth7', hwAddr: '00:00:00:00:00:00' }, 'eth0'],
    [{ name: 'eth7', hwAddr: '', devicePath: '02/01' }, 'lo'],
    [{ name: 'eth7', hwAddr: '02:00:00:00:00:77', devicePath: '02/01' }, 'lo'],
  ];
  for (const [wanted, device] of attempts)
    await assert.rejects(interfaceOf(wanted, device), refused, JSON.stringify(wanted));
  assert.equal(pod.ip('-json', 'address', 'show', 'lo'), before);
  await loopbackIsThePods();
  // Recognized by the kernel's flag if a container with CAP_NET_ADMIN has renamed it.
  pod.ip('link', 'set', 'lo', 'down');
  pod.ip('link', 'set', 'lo', 'name', 'inner');
  pod.ip('link', 'set', 'inner', 'up');
  await assert.rejects(interfaceOf({ name: 'inner' }), refused);
  await assert.rejects(updateRoutes([{ ...route, device: 'inner' }], pod.media), refused);
  const neighbour = { address: '10.9.0.7', device: 'inner', hwAddr: '', state: 0, flags: 0 };
  await assert.rejects(addNeighbours([neighbour], pod.media), refused);
});

test('variant: an address of the pod’s interface whose network contains loopback', { skip }, async () => {
  for (const [address, prefix] of [
    ['127.0.0.1', 32],
    ['126.0.0.1', 7],
    ['::1', 128],
  ] as const)
    await assert.rejects(interfaceOf({ addresses: [{ address, prefix }] }), refused);
  await loopbackIsThePods();
});

test('variant: wide routes pass, and do not divert loopback', { skip }, async () => {
  pod.exec('sysctl', '-qw', 'net.ipv4.conf.all.route_localnet=1');
  const wide = [
    '0.0.0.0/1',
    '64.0.0.0/2',
    '96.0.0.0/3',
    '112.0.0.0/4',
    '120.0.0.0/5',
    '124.0.0.0/6',
    '126.0.0.0/7',
  ];
  await updateRoutes(
    [
      ...wide.map((dest) => ({ ...route, dest })),
      { ...route, family: 'v6', dest: '::/1', gateway: 'fd09::1' },
      { ...route, family: 'v6', dest: '::/8', gateway: 'fd09::1' },
    ],
    pod.media,
  );
  assert.match(pod.ip('route', 'show'), /126\.0\.0\.0\/7 via 10\.9\.0\.1/);
  await loopbackIsThePods();
});

test('variant: the packet filter redirects all connections except those to loopback', { skip }, async () => {
  await updateRoutes([route], pod.media);
  for (const [family, address] of [
    ['v4', '10.9.0.1'],
    ['v6', 'fd09::1'],
  ] as const) {
    const rules = `*nat\n-A OUTPUT -p tcp -j DNAT --to-destination ${address}\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n`;
    await filter(family, rules);
    // The text that is read back can be set again, and does not grow.
    const saved = (await readPacketFilter(family, pod.tools)).toString();
    await filter(family, saved);
    const rule = /-A OUTPUT -d (127\.0\.0\.0\/8|::1\/128) -j ACCEPT/g;
    assert.equal((await readPacketFilter(family, pod.tools)).toString().match(rule)?.length, 1);
  }
  await loopbackIsThePods();
  assert.equal(await heard('203.0.113.5'), 'the host', 'others are redirected');
});

test('no rule of a request sees a packet of loopback, and counters are 0 in replies (S40)', {
  skip,
}, async () => {
  const seen = `-p tcp -m tcp --dport ${port} -j MARK --set-mark 7`;
  const count = `-p tcp -m tcp --dport ${port}`;
  const tables = [
    `*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT ${count} -j ACCEPT\n-A OUTPUT ${count} -j ACCEPT\nCOMMIT\n`,
    `*mangle\n-A PREROUTING ${seen}\n-A INPUT ${seen}\n-A OUTPUT ${seen}\n-A POSTROUTING ${seen}\nCOMMIT\n`,
    `*raw\n-A PREROUTING ${count} -j RETURN\n-A OUTPUT ${count} -j RETURN\nCOMMIT\n`,
    `*nat\n-A OUTPUT ${count} -j RETURN\n-A POSTROUTING ${count} -j RETURN\nCOMMIT\n`,
  ];
  for (const family of ['v4', 'v6'] as const) for (const rules of tables) await filter(family, rules);
  const counted = (family: 'v4' | 'v6'): readonly string[] =>
    pod
      .exec(family === 'v4' ? 'iptables-save' : 'ip6tables-save', '-c')
      .split('\n')
      .filter((line) => line.includes(`--dport ${port}`) && !line.startsWith('[0:0]'));
  assert.equal(await heard('127.0.0.1'), 'the pod');
  assert.equal(await heard('::1'), 'the pod');
  for (const family of ['v4', 'v6'] as const) assert.deepEqual(counted(family), []);
  assert.equal(await heard('10.9.0.1'), 'the host');
  assert.equal(await heard('fd09::1'), 'the host');
  for (const family of ['v4', 'v6'] as const) {
    assert.ok(counted(family).length >= 4, 'others are counted by the kernel');
    const reply = (await readPacketFilter(family, pod.tools)).toString();
    assert.deepEqual([...new Set(reply.match(/\[\d+:\d+\]/g))], ['[0:0]']);
  }
});

test('variant: a rule that drops, or that asks for payload, and a policy that drops', { skip }, async () => {
  for (const family of ['v4', 'v6'] as const) {
    await filter(family, `*filter\n:INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n`);
    assert.equal(await heard(family === 'v4' ? '127.0.0.1' : '::1'), 'the pod', 'policy');
    await filter(family, '*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j DROP\nCOMMIT\n');
    assert.equal(await heard(family === 'v4' ? '127.0.0.1' : '::1'), 'the pod', 'rule');
    await filter(family, '*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n');
    for (const name of ['filter', 'mangle', 'raw', 'security'])
      await assert.rejects(
        filter(family, `*${name}\n-A OUTPUT -o lo -m string --algo bm --string key -j ACCEPT\nCOMMIT\n`),
        { kind: 'refused', message: /match "string" is refused/ },
      );
  }
  await loopbackIsThePods();
});

test('variant: connections of the pod to its own address', { skip }, async () => {
  const [own] = [await serve(pod, ['10.9.0.2'], 'the pod')];
  servers.push(own);
  const rules = `*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -m tcp --dport ${port} -j DROP\nCOMMIT\n`;
  await filter('v4', rules);
  assert.equal(await heard('10.9.0.2'), 'the pod');
  assert.match(pod.exec('iptables-save', '-c'), new RegExp(`^\\[0:0\\] -A OUTPUT .*--dport ${port}`, 'm'));
});

test('variant: copies of packets, and translation without nat', { skip }, async () => {
  const tee = '*mangle\n-A OUTPUT -d 127.0.0.1 -j TEE --gateway 10.9.0.1\nCOMMIT\n';
  const prefix = '*mangle\n-A OUTPUT -d ::1 -j DNPT --src-pfx ::/64 --dst-pfx fd09::/64\nCOMMIT\n';
  const source = '*nat\n-A INPUT -i eth0 -p tcp -j SNAT --to-source 127.0.0.1\nCOMMIT\n';
  await assert.rejects(filter('v4', tee), { kind: 'refused' });
  await assert.rejects(filter('v6', prefix), { kind: 'refused' });
  await assert.rejects(filter('v4', source), refused);
  await loopbackIsThePods();
});

test('variant: a target declared as a chain, in each notation', {
  skip,
}, async () => {
  const tee = '-A OUTPUT -d 127.0.0.0/8 -j TEE --gateway 10.9.0.1';
  const texts = [
    tee.replace('-j', '-m comment --comment --new-chain=TEE -j'),
    tee.replace('-j', '-m comment --comment -N -j'),
    `:TEE - [0:0]\n${tee}`,
    `-N TEE\n${tee}`,
    `${tee}\n-N TEE`,
    `:other - [0:0]\n-E other TEE\n${tee}`,
  ];
  for (const text of texts) {
    const rules = `*mangle\n${text}\nCOMMIT\n`;
    await assert.rejects(filter('v4', rules), { name: 'GuestError' }, rules);
  }
  assert.doesNotMatch((await readPacketFilter('v4', pod.tools)).toString(), /TEE/);
  await loopbackIsThePods();
});

test('variant: a transparent proxy gets all connections except those to loopback', { skip }, async () => {
  for (const [family, address] of [
    ['v4', '10.9.0.2'],
    ['v6', 'fd09::2'],
  ] as const) {
    const rules = `*mangle\n:take.all - [0:0]\n-A PREROUTING -j take.all\n-A take.all -p tcp -m tcp --dport ${port} -j TPROXY --on-port 15001\nCOMMIT\n`;
    await filter(family, rules);
    await filter(family, (await readPacketFilter(family, pod.tools)).toString());
    const saved = (): string => pod.exec(family === 'v4' ? 'iptables-save' : 'ip6tables-save', '-c');
    await loopbackIsThePods();
    const taken = /\[(\d+):\d+\] -A take\.all .*TPROXY/;
    assert.equal(taken.exec(saved())?.[1], '0', 'no packet of loopback');
    assert.throws(() => pod.exec('timeout', '1', 'bash', '-c', `exec 3<>/dev/tcp/${address}/${port}`));
    assert.notEqual(taken.exec(saved())?.[1], '0', 'others are taken');
  }
});

test('variant: rules that the kernel has after lines in all spellings', { skip }, async () => {
  // The jumps in the output of iptables-save.
  const jumps = /(?:-j|-g) (?!ACCEPT|own\.chain|NEW|DNAT|REDIRECT|TPROXY)\S+/;
  let taken = 0;
  for (const text of fc.sample(filterTexts, 3_000)) {
    try {
      checkedFilter('v4', Buffer.from(text), { privileged: 'refuse' });
    } catch {
      continue;
    }
    try {
      await filter('v4', text);
    } catch (error) {
      assert.match(String(error), /iptables-restore refused the rules/);
      continue;
    }
    taken += 1;
    const saved = (await readPacketFilter('v4', pod.tools)).toString();
    assert.doesNotMatch(saved, jumps, text);
    for (const [name, chain, redirecting] of [
      ['nat', 'OUTPUT', /-j (?:DNAT|REDIRECT)/],
      ['mangle', 'PREROUTING', /-j TPROXY/],
    ] as const) {
      const table = saved.split(/^\*/m).find((each) => each.startsWith(name)) ?? '';
      const [first = ''] = new RegExp(`^-A ${chain} .*`, 'm').exec(table) ?? [];
      if (redirecting.test(table)) assert.match(first, /-d 127\.0\.0\.0\/8 -j ACCEPT/, text);
    }
    if (taken === 20) break;
  }
  assert.equal(taken, 20);
});

async function loopbackIsThePods(): Promise<void> {
  for (const address of ['127.0.0.1', '::1']) assert.equal(await heard(address), 'the pod', address);
  assert.equal(await heard('10.9.0.1'), 'the host', 'the host is there to be reached');
}

function interfaceOf(wanted: Partial<Interface>, device = 'eth0'): Promise<void> {
  const addresses = [
    { address: '10.9.0.2', prefix: 24 },
    { address: 'fd09::2', prefix: 64 },
  ];
  return links(pod.media).then((present) =>
    updateInterface(
      {
        name: 'eth0',
        hwAddr: present.find(({ name }) => name === 'eth0')?.hwAddr ?? '',
        mtu: 0,
        addresses,
        devicePath: '',
        rawFlags: 0,
        ...wanted,
      },
      { media: pod.media, proc: '/proc', linkOfDevice: () => device },
    ),
  );
}

async function filter(family: 'v4' | 'v6', rules: string): Promise<void> {
  return replacePacketFilter(
    family,
    checkedFilter(family, Buffer.from(rules), { privileged: 'refuse' }),
    pod.tools,
  );
}

/** Resolves when a server listens on all addresses; it answers each connection with its name. */
async function serve(
  namespace: NetworkNamespace,
  addresses: readonly string[],
  name: string,
): Promise<ChildProcess> {
  const program = `let left = ${addresses.length};
    for (const address of ${JSON.stringify(addresses)})
      require('net').createServer((s) => s.end(${JSON.stringify(name)})).listen(${port}, address, () => --left || console.log('ready'));`;
  const server = spawn('ip', ['netns', 'exec', namespace.name, process.execPath, '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(server.stdout, 'data');
  return server;
}

/** Returns the answer that a client in the pod gets at an address. */
async function heard(address: string): Promise<string> {
  const program = `const s = require('net').connect(${port}, '${address}'); s.pipe(process.stdout); s.on('error', (e) => console.log(e.code))`;
  return pod.exec('timeout', '10', process.execPath, '-e', program);
}
