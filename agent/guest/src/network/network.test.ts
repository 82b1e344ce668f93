import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AddressFamily,
  attributeOf,
  formatIpAddress,
  RouteAttribute,
  type RouteMessage,
  uint32Of,
} from '@kata-agent/linux';
import * as fc from 'fast-check';
import { fakeMedia } from '../testing/fake-media.js';
import { sampleInterface, sampleRoute } from '../testing/network-namespace.js';
import type { Tool, ToolRun, Tools } from '../tool/tools.js';
import type { Link } from './links.js';
import { encodedNeighbour } from './neighbour-calls.js';
import { addNeighbours } from './neighbours.js';
import type { Interface, Neighbour, Route } from './network-values.js';
import { orRestore } from './or-restore.js';
import { replacePacketFilter } from './packet-filter.js';
import { decodedRoute, encodedRoute } from './route-encoding.js';
import { updateRoutes } from './routes.js';
import { updateInterface } from './update-interface.js';

/** Answers from a table of programs, and records the commands. */
class ScriptedTools implements Tools {
  readonly runs: string[] = [];
  readonly #answers: readonly Partial<ToolRun>[];

  constructor(answers: readonly Partial<ToolRun>[]) {
    this.#answers = answers;
  }

  async run(tool: Tool, args: readonly string[]): Promise<ToolRun> {
    const answer = this.#answers[this.runs.length] ?? {};
    this.runs.push([tool.program, ...args].join(' '));
    return { status: 0, stdout: Buffer.alloc(0), stderr: '', ...answer };
  }
}

const route = sampleRoute;

const eth0 = sampleInterface;

const present: Link = {
  index: 2,
  name: 'eth0',
  hwAddr: eth0.hwAddr,
  mtu: 1500,
  up: false,
  loopback: false,
  noArp: false,
  addresses: [],
};

/** The names of tasks that a change runs, with one link in the guest. */
async function tasksOf(
  change: (media: ReturnType<typeof fakeMedia>) => Promise<void>,
): Promise<readonly string[]> {
  const tasks: string[] = [];
  const media = fakeMedia((name) => {
    tasks.push(name);
    return name === 'readLinks' ? [present] : undefined;
  });
  await change(media);
  return tasks;
}

test('a route is encoded as ip route replace does', () => {
  const encoded = (more: Partial<Route>): RouteMessage => encodedRoute({ ...route, ...more }, 7);
  const address = (message: RouteMessage, type: number): string | undefined => {
    const bytes = attributeOf(message.attributes, type);
    return bytes === undefined ? undefined : formatIpAddress(bytes);
  };
  const { attributes, ...direct } = encoded({});
  assert.deepEqual(direct, {
    family: 2,
    destinationBits: 0,
    sourceBits: 0,
    tos: 0,
    table: 254,
    protocol: 3,
    scope: 0,
    type: 1,
    flags: 0,
  });
  assert.equal(uint32Of(attributes, RouteAttribute.OutputLink), 7);
  assert.equal(attributes.length, 1);
  const gateway = encoded({ gateway: '10.0.0.1', flags: 4, mtu: 1400 });
  assert.equal(gateway.flags, 4);
  assert.equal(address(gateway, RouteAttribute.Gateway), '10.0.0.1');
  assert.deepEqual(
    attributeOf(gateway.attributes, RouteAttribute.Metrics),
    Buffer.from([8, 0, 2, 0, 0x78, 0x05, 0, 0]),
  );
  // Every other flag (RTNH_F_DEAD, PERVASIVE, OFFLOAD, LINKDOWN, …) is left out.
  assert.deepEqual(encoded({ flags: 0xffff & ~4 }), encoded({}));
  const preferred = encoded({ dest: '10.0.0.0/8', source: '10.1.2.3/32', scope: 253 });
  assert.deepEqual([preferred.destinationBits, preferred.sourceBits, preferred.scope], [8, 0, 253]);
  assert.equal(address(preferred, RouteAttribute.Destination), '10.0.0.0');
  assert.equal(address(preferred, RouteAttribute.PreferredSource), '10.1.2.3');
  // IPv6 has no scopes, and routes by source.
  const specific = encoded({ family: 'v6', dest: 'fd00::/64', source: 'fd01::/64', scope: 253 });
  assert.deepEqual([specific.family, specific.destinationBits, specific.sourceBits], [10, 64, 64]);
  assert.equal(specific.scope, 0);
  assert.equal(address(specific, RouteAttribute.Source), 'fd01::');
  assert.equal(encoded({ dest: '10.0.0.9' }).destinationBits, 32);
});

test('what is encoded is decoded again', () => {
  const v4 = fc.ipV4();
  const v6 = fc.ipV6().map((text) => new URL(`http://[${text}]`).hostname.slice(1, -1));
  const routes = fc.constantFrom<Route['family']>('v4', 'v6').chain((family) =>
    fc.record({
      family: fc.constant(family),
      dest: fc
        .tuple(family === 'v4' ? v4 : v6, fc.integer({ min: 1, max: family === 'v4' ? 32 : 128 }))
        .map((parts) => parts.join('/')),
      gateway: family === 'v4' ? fc.constantFrom('', '10.0.0.1') : fc.constantFrom('', 'fd00::1'),
      device: fc.constant('eth0'),
      source: family === 'v4' ? fc.constantFrom('', '10.0.0.2') : fc.constantFrom('', 'fd00::2'),
      scope: family === 'v4' ? fc.constantFrom(0, 253) : fc.constant(0),
      flags: fc.constantFrom(0, 4),
      mtu: fc.nat(65_536),
    }),
  );
  fc.assert(
    fc.property(routes, (each) => {
      const decoded = decodedRoute(encodedRoute(each, 7), each.family, (index) =>
        index === 7 ? 'eth0' : '?',
      );
      const [address = '', bits] = each.dest.split('/');
      const same = encodedRoute({ ...each, dest: decoded.dest }, 7);
      assert.deepEqual(same, encodedRoute({ ...each, dest: `${address}/${bits}` }, 7));
      assert.deepEqual({ ...decoded, dest: '' }, { ...each, dest: '' });
    }),
  );
});

test('a neighbour is encoded; permanent is the default', () => {
  const neighbour = { address: '10.0.0.9', device: 'eth0', hwAddr: '02:00:00:00:00:09', state: 0, flags: 0 };
  const encoded = (more: Partial<Neighbour>) => encodedNeighbour({ ...neighbour, ...more }, 7);
  const entry = { family: AddressFamily.Inet, index: 7, address: Buffer.from([10, 0, 0, 9]) };
  const hwAddr = Buffer.from([2, 0, 0, 0, 0, 9]);
  assert.deepEqual(encoded({}), { ...entry, state: 0x80, flags: 0, hwAddr });
  const router = { ...entry, state: 2, flags: 0x80, hwAddr: Buffer.alloc(0) };
  assert.deepEqual(encoded({ state: 2, flags: 0x80, hwAddr: '' }), router);
  assert.deepEqual(encoded({ flags: 8 }), { ...entry, state: 0x80, flags: 8, hwAddr: Buffer.alloc(0) });
});

test('invalid values are refused before the kernel is asked', async () => {
  const media = fakeMedia(() => assert.fail('a task'));
  const context = { media, proc: '/proc', linkOfDevice: () => 'eth0' };
  const wrongInterfaces: readonly (readonly [Partial<Interface>, RegExp])[] = [
    [{ name: '' }, /interface name ""/],
    [{ name: 'a name of more than fifteen' }, /interface name "a name/],
    [{ name: '../eth0' }, /interface name/],
    [{ name: '-all' }, /interface name "-all"/],
    [{ hwAddr: '' }, /neither hwAddr nor devicePath/],
    [{ hwAddr: '02:00:00' }, /hardware address "02:00:00"/],
    [{ mtu: 2 ** 31 }, /mtu 2147483648/],
    [{ mtu: 2 ** 64 }, /mtu/],
    [{ addresses: [{ address: '10.0.0.256', prefix: 8 }] }, /address "10.0.0.256"/],
    [{ addresses: [{ address: '10.0.0.1', prefix: 33 }] }, /mask 33 of 10.0.0.1/],
    [{ addresses: [{ address: '10.0.0.1', prefix: Number.NaN }] }, /mask NaN/],
    [{ addresses: [{ address: 'fe80::1%eth0', prefix: 64 }] }, /not an IP address/],
  ];
  for (const [wrong, message] of wrongInterfaces) {
    await assert.rejects(updateInterface({ ...eth0, ...wrong }, context), { kind: 'invalid', message });
  }
  const wrongRoutes: readonly (readonly [Partial<Route>, RegExp])[] = [
    [{ device: 'eth0;reboot' }, /device "eth0;reboot"/],
    [{ gateway: 'fe80::1' }, /gateway fe80::1 is not of the route's family, IPv4/],
    [{ dest: '10.0.0.0/33' }, /dest "10.0.0.0\/33"/],
    [{ dest: '10.0.0.0/8/8' }, /dest/],
    [{ dest: '-help' }, /dest "-help" is not an IP address/],
    [{ source: 'x' }, /source "x"/],
    [{ scope: 256 }, /scope 256/],
  ];
  for (const [wrong, message] of wrongRoutes) {
    // A valid route before it is not set either.
    await assert.rejects(updateRoutes([route, { ...route, ...wrong }], media), { kind: 'invalid', message });
  }
  const neighbour = { address: '10.0.0.9', device: 'eth0', hwAddr: '', state: 0, flags: 0 };
  for (const [wrong, message] of [
    [{ flags: 2 }, /flags 2/],
    [{ state: -1 }, /state -1/],
    [{ state: 256 }, /state 256/],
    [{ state: 3 }, /state 3 .*must be 0 \(permanent\), or one of 1, 2, 4/],
    [{ hwAddr: '02' }, /hardware address "02"/],
  ] as const)
    await assert.rejects(addNeighbours([neighbour, { ...neighbour, ...wrong }], media), {
      kind: 'invalid',
      message,
    });
});

test('any text of a request is refused, or encoded', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string(), fc.string(), fc.string(), fc.nat(300), async (a, b, c, n) => {
      const media = fakeMedia((name, args) => {
        if (name === 'readLinks') return [present];
        const { routes = [], neighbours = [] } = args as {
          readonly routes?: readonly Route[];
          readonly neighbours?: readonly Neighbour[];
        };
        for (const each of routes) encodedRoute(each, 7);
        for (const each of neighbours) encodedNeighbour(each, 7);
        return undefined;
      });
      const context = { media, proc: '/proc', linkOfDevice: () => 'eth0' };
      const attempts = [
        updateInterface({ ...eth0, name: a, hwAddr: b, addresses: [{ address: c, prefix: n }] }, context),
        updateRoutes([{ ...route, device: a, gateway: b, dest: c, scope: n }], media),
        addNeighbours([{ address: a, device: b, hwAddr: c, state: n, flags: n }], media),
      ];
      const ends = await Promise.allSettled(attempts);
      for (const end of ends) if (end.status === 'rejected') assert.equal(end.reason.name, 'GuestError');
    }),
  );
});

test('a call is one task, and an interface two', async () => {
  const addresses = Array.from({ length: 1_024 }, (_, at) => `10.100.${at >> 8}.${at & 255}`);
  const routes = addresses.map((dest) => ({ ...route, dest }));
  assert.deepEqual(await tasksOf((media) => updateRoutes(routes, media)), ['setRoutes']);
  const neighbours = addresses.map((address) => ({
    address,
    device: 'eth0',
    hwAddr: '',
    state: 0,
    flags: 0,
  }));
  assert.deepEqual(await tasksOf((media) => addNeighbours(neighbours, media)), ['setNeighbours']);
  const wanted = { ...eth0, addresses: addresses.map((address) => ({ address, prefix: 32 })) };
  const context = { proc: '/proc', linkOfDevice: () => 'eth0' };
  assert.deepEqual(await tasksOf((media) => updateInterface(wanted, { ...context, media })), [
    'readLinks',
    'configureLink',
  ]);
});

test('a change whose call was given up is restored, and one that was never begun is not made', () => {
  const done: string[] = [];
  const commits: readonly (readonly [fails: number, steps: readonly string[]])[] = [
    [1, []],
    [2, ['made', 'restored']],
    [3, ['made']],
  ];
  for (const [fails, steps] of commits) {
    done.length = 0;
    let count = 0;
    const step = (): void => {
      count += 1;
      if (count === fails) throw new Error('given up');
    };
    const change = (): void =>
      orRestore({
        make: () => done.push('made'),
        restore: () => done.push('restored'),
        call: { commit: step, finish: step },
      });
    if (fails < 3) assert.throws(change, { message: 'given up' });
    else change();
    assert.deepEqual(done, steps);
  }
  const hopeless = (): void =>
    orRestore({
      make: () => assert.fail('refused'),
      restore: () => assert.fail('this, too'),
      call: { commit: () => undefined, finish: () => undefined },
    });
  assert.throws(hopeless, {
    kind: 'internal',
    message: 'refused; the previous state could not be restored: this, too',
  });
});

test('the packet filter is restored if not all rules can be set', async () => {
  const [fine, refused] = [{}, { status: 1, stderr: 'line 4 failed' }];
  const before = { stdout: Buffer.from('*filter\nCOMMIT\n') };
  const tools = new ScriptedTools([fine, before, refused, fine]);
  await assert.rejects(replacePacketFilter('v4', Buffer.from('x'), tools), {
    kind: 'invalid',
    message: 'iptables-restore refused the rules: line 4 failed',
  });
  assert.deepEqual(tools.runs, [
    'iptables-restore --test --wait',
    'iptables-save --counters',
    'iptables-restore --wait',
    'iptables-restore --wait --counters',
  ]);
  const hopeless = new ScriptedTools([fine, before, refused, refused]);
  await assert.rejects(replacePacketFilter('v6', Buffer.from('x'), hopeless), {
    kind: 'internal',
    message: /previous .* could not be restored/,
  });
});
