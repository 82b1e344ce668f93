import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { after, before, test } from 'node:test';
import {
  AddressFamily,
  encodeIpAddress,
  loadSyscalls,
  type NeighbourMessage,
  type RouteMessage,
  Rtnetlink,
  uint32Attribute,
  visitNamespace,
} from '../index.js';

// `ip` is the peer that says what is set. With CI=true a missing prerequisite fails the tests.
const skip = process.env['CI'] === 'true' ? false : missing();

function missing(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  try {
    execFileSync('ip', ['-V']);
    return false;
  } catch {
    return 'needs ip';
  }
}

const name = `kata-rtnetlink-${process.pid}`;
const syscalls = loadSyscalls();
let kernel: Rtnetlink;
let index: number;

/** The fields of `ip -json` that are compared. */
interface Shown {
  readonly ifindex?: number;
  readonly ifname?: string;
  readonly mtu?: number;
  readonly address?: string;
  readonly flags?: readonly string[];
  readonly addr_info?: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly scope: string;
  }[];
  readonly dst?: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly lladdr?: string;
  readonly state?: readonly string[];
  /** A flag: a member without a value. */
  readonly router?: null;
}

/** Returns what `ip` lists. */
function ip(...args: readonly string[]): readonly Shown[] {
  const text = execFileSync('ip', ['-n', name, '-json', ...args], { encoding: 'utf8' });
  return text === '' ? [] : (JSON.parse(text) as Shown[]);
}

before(() => {
  if (skip !== false) return;
  execFileSync('ip', ['netns', 'add', name]);
  const namespace = openSync(`/run/netns/${name}`, 'r');
  kernel = visitNamespace(syscalls, 'net', namespace, () => new Rtnetlink(syscalls));
  closeSync(namespace);
  ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'tap0');
  ip('link', 'set', 'tap0', 'up');
  index = kernel.links().find((link) => link.name === 'eth0')?.index ?? 0;
});
after(() => {
  if (skip !== false) return;
  kernel.close();
  execFileSync('ip', ['netns', 'delete', name]);
});

test('links are listed as ip lists them, and changed', { skip }, () => {
  const shown = ip('link', 'show');
  assert.deepEqual(
    kernel.links().map((link) => [link.index, link.name, link.mtu]),
    shown.map(({ ifindex, ifname, mtu }) => [ifindex, ifname, mtu]),
  );
  kernel.setLink({ index, hwAddr: Buffer.from([2, 0, 0, 0, 0, 7]), name: 'net1' });
  kernel.setLink({ index, mtu: 1300, flags: { NoArp: true, Up: true } });
  const [set] = ip('link', 'show', 'net1');
  assert.deepEqual([set?.address, set?.mtu], ['02:00:00:00:00:07', 1300]);
  assert.ok(set?.flags?.includes('NOARP') === true && set.flags.includes('UP'));
  kernel.setLink({ index, flags: { Up: false } });
  kernel.setLink({ index, name: 'eth0', mtu: 1500, flags: { NoArp: false, Up: true } });
  const [again] = ip('link', 'show', 'eth0');
  assert.equal(again?.flags?.includes('NOARP'), false);
  assert.throws(() => kernel.setLink({ index, mtu: 70_000 }), {
    code: 'EINVAL',
    message: /mtu greater than device maximum/,
  });
  assert.throws(() => kernel.setLink({ index: 4_711, mtu: 1_400 }), { code: 'ENODEV' });
});

test('addresses are added, replaced and deleted', { skip }, () => {
  const value = encodeIpAddress('10.9.0.2');
  const address = {
    family: AddressFamily.Inet,
    prefix: 24,
    flags: 0,
    scope: 0,
    index,
    attributes: [1, 2].map((type) => ({ type, value })),
  };
  kernel.addAddress(address);
  assert.throws(() => kernel.addAddress(address), { code: 'EEXIST' });
  kernel.replaceAddress(address);
  const shown = (): Shown['addr_info'] => ip('-4', 'address', 'show', 'dev', 'eth0')[0]?.addr_info;
  assert.deepEqual(
    shown()?.map((each) => [each.local, each.prefixlen, each.scope]),
    [['10.9.0.2', 24, 'global']],
  );
  const listed = kernel.addresses().find((each) => each.index === index && each.family === 2);
  assert.ok(listed);
  kernel.deleteAddress(listed);
  assert.equal(shown(), undefined);
  assert.throws(() => kernel.deleteAddress(listed), { code: 'EADDRNOTAVAIL' });
  // What the kernel listed can be added again, as it was.
  kernel.addAddress(listed);
  assert.deepEqual(kernel.addresses().filter((each) => each.index === index && each.family === 2).length, 1);
});

test('routes are replaced and deleted, in any table', { skip }, () => {
  const route = (table: number): RouteMessage => ({
    family: AddressFamily.Inet,
    destinationBits: 24,
    sourceBits: 0,
    tos: 0,
    table,
    protocol: 3,
    scope: 0,
    type: 1,
    flags: 0,
    attributes: [
      { type: 1, value: encodeIpAddress('192.0.2.0') },
      { type: 5, value: encodeIpAddress('10.9.0.1') },
      uint32Attribute(4, index),
    ],
  });
  for (const table of [254, 100, 4_000_000_000]) {
    kernel.replaceRoute(route(table));
    kernel.replaceRoute(route(table));
    const [shown] = ip('-N', 'route', 'show', '192.0.2.0/24', 'table', String(table));
    assert.deepEqual([shown?.gateway, shown?.dev], ['10.9.0.1', 'eth0']);
    assert.equal(
      kernel.routes(AddressFamily.Inet, table).some((each) => each.destinationBits === 24),
      true,
    );
    kernel.deleteRoute(route(table));
    assert.throws(() => kernel.deleteRoute(route(table)), { code: 'ESRCH' });
  }
  // No route was ever in it.
  assert.deepEqual(kernel.routes(AddressFamily.Inet, 4_711), []);
  const everywhere = kernel.routes(AddressFamily.Inet6);
  assert.ok(everywhere.every(({ family }) => family === AddressFamily.Inet6));
});

test('a list of thousands of routes is whole', { skip }, () => {
  const count = 3_000;
  const lines = Array.from(
    { length: count },
    (_, at) => `route add 10.100.${at >> 8}.${at & 255}/32 dev eth0\n`,
  );
  execFileSync('ip', ['-n', name, '-batch', '-'], { input: lines.join('') });
  const listed = kernel.routes(AddressFamily.Inet, 254).filter((each) => each.destinationBits === 32);
  assert.equal(listed.length, count);
  for (const each of listed) kernel.deleteRoute(each);
  assert.equal(ip('route', 'show', 'root', '10.100.0.0/16').length, 0);
});

test('neighbours and proxy entries are replaced and deleted', { skip }, () => {
  const entry: NeighbourMessage = {
    family: AddressFamily.Inet6,
    index,
    state: 0x80,
    flags: 0x80,
    address: encodeIpAddress('fd09::1'),
    hwAddr: Buffer.from([2, 0, 0, 0, 0, 9]),
  };
  kernel.replaceNeighbour(entry);
  const [shown] = ip('neighbour', 'show', 'fd09::1', 'dev', 'eth0');
  assert.deepEqual([shown?.lladdr, shown?.state], ['02:00:00:00:00:09', ['PERMANENT']]);
  assert.ok(shown !== undefined && 'router' in shown);
  assert.deepEqual(
    kernel.neighbours().find(({ address }) => address.equals(entry.address)),
    entry,
  );
  kernel.deleteNeighbour(entry);
  assert.throws(() => kernel.deleteNeighbour(entry), { code: 'ENOENT' });
  const proxy = { ...entry, flags: 0x08, hwAddr: Buffer.alloc(0) };
  kernel.replaceNeighbour(proxy);
  assert.equal(ip('-6', 'neighbour', 'show', 'proxy')[0]?.dst, 'fd09::1');
  assert.equal(kernel.proxies().length, 1);
  kernel.deleteNeighbour(proxy);
  assert.deepEqual(kernel.proxies(), []);
});
