import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Tool, ToolRun, Tools } from '../tool/tools.js';
import { addNeighbours, neighbourArguments } from './neighbours.js';
import type { Interface, Route } from './network-values.js';
import { replacePacketFilter } from './packet-filter.js';
import { routeArguments, updateRoutes } from './routes.js';
import { updateInterface } from './update-interface.js';
import { sampleInterface, sampleRoute } from '../testing/network-namespace.js';

/** Answers from a table of programs, and records the commands. */
class ScriptedTools implements Tools {
  readonly runs: string[] = [];
  /** Input of batches. */
  readonly lines: string[] = [];
  readonly #answers: readonly Partial<ToolRun>[];

  constructor(answers: readonly Partial<ToolRun>[] = []) {
    this.#answers = answers;
  }

  async run(tool: Tool, args: readonly string[], input?: Uint8Array): Promise<ToolRun> {
    const answer = this.#answers[this.runs.length] ?? {};
    this.runs.push([tool.program, ...args].join(' '));
    if (args.includes('-batch'))
      this.lines.push(
        ...Buffer.from(input ?? [])
          .toString()
          .split('\n')
          .slice(0, -1),
      );
    return { status: 0, stdout: Buffer.from('[]'), stderr: '', ...answer };
  }
}

const route = sampleRoute;

const eth0 = sampleInterface;

test('a route is converted to arguments of ip', () => {
  const words = (more: Partial<Route>): string => routeArguments({ ...route, ...more }).join(' ');
  assert.equal(words({}), 'route replace default dev eth0 proto boot scope 0');
  assert.equal(
    words({ gateway: '10.0.0.1', flags: 4, mtu: 1400 }),
    'route replace default via 10.0.0.1 dev eth0 onlink proto boot scope 0 mtu 1400',
  );
  // Every other flag (RTNH_F_DEAD, PERVASIVE, OFFLOAD, LINKDOWN, …) is left out.
  assert.equal(words({ flags: 0xffff & ~4 }), words({}));
  assert.equal(
    words({ dest: '10.0.0.0/8', source: '10.1.2.3/32', scope: 253 }),
    'route replace 10.0.0.0/8 dev eth0 src 10.1.2.3 proto boot scope 253',
  );
  assert.equal(
    words({ family: 'v6', dest: 'fd00::/64', source: 'fd01::/64', scope: 253 }),
    'route replace fd00::/64 from fd01::/64 dev eth0 proto boot',
  );
});

test('a neighbour is converted to arguments of ip; permanent is the default', () => {
  const neighbour = { address: '10.0.0.9', device: 'eth0', hwAddr: '02:00:00:00:00:09', state: 0, flags: 0 };
  const words = (more: Partial<typeof neighbour>) => neighbourArguments({ ...neighbour, ...more }).join(' ');
  assert.equal(words({}), 'neighbour replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud 128');
  assert.equal(
    words({ state: 2, flags: 0x80, hwAddr: '' }),
    'neighbour replace 10.0.0.9 dev eth0 nud 2 router',
  );
  assert.equal(words({ flags: 8 }), 'neighbour replace proxy 10.0.0.9 dev eth0');
  assert.throws(() => words({ flags: 2 }), { kind: 'invalid', message: /flags 2/ });
  assert.throws(() => words({ state: -1 }), { kind: 'invalid', message: /state -1/ });
});

test('invalid values are refused before any command is run', async () => {
  const tools = new ScriptedTools();
  const context = { tools, proc: '/proc', linkOfDevice: () => 'eth0' };
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
    await assert.rejects(updateRoutes([route, { ...route, ...wrong }], tools), { kind: 'invalid', message });
  }
  assert.deepEqual(tools.runs, []);
});

test('no text of a request becomes an option of ip', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string(), fc.string(), fc.string(), fc.nat(300), async (a, b, c, n) => {
      const tools = new ScriptedTools();
      const context = { tools, proc: '/proc', linkOfDevice: () => 'eth0' };
      const attempts = [
        updateInterface({ ...eth0, name: a, hwAddr: b, addresses: [{ address: c, prefix: n }] }, context),
        updateRoutes([{ ...route, device: a, gateway: b, dest: c, scope: n }], tools),
        addNeighbours([{ address: a, device: b, hwAddr: c, state: n, flags: n }], tools),
      ];
      const ends = await Promise.allSettled(attempts);
      for (const end of ends) if (end.status === 'rejected') assert.equal(end.reason.name, 'GuestError');
      for (const run of tools.runs) assert.doesNotMatch(run.replace(/ -batch -$/, ''), / -[^j46N]/);
      for (const line of tools.lines)
        assert.match(line, /^(?:route|neighbour|address) replace(?: [\w:./][\w:./-]*)+$/);
    }),
  );
});

test('a thousand routes or neighbours are set by one process, after one snapshot', async () => {
  const all = Array.from({ length: 1_024 }, (_, index) => `10.100.${index >> 8}.${index & 255}`);
  const present = { stdout: Buffer.from('[{"ifindex":2,"ifname":"eth0","address":"02:00:00:00:00:01"}]') };
  const routes = new ScriptedTools([present]);
  await updateRoutes(
    all.map((dest) => ({ ...route, dest })),
    routes,
  );
  assert.deepEqual(routes.runs, [
    'ip -json address show',
    'ip -details -oneline -4 route show table all',
    'ip -4 -batch -',
  ]);
  assert.equal(routes.lines.length, 1_024);
  const neighbours = new ScriptedTools([present]);
  await addNeighbours(
    all.map((address) => ({ address, device: 'eth0', hwAddr: '', state: 0, flags: 0 })),
    neighbours,
  );
  assert.deepEqual(neighbours.runs.slice(1), [
    'ip -json neighbour show',
    'ip -json neighbour show proxy',
    'ip -batch -',
  ]);
  const addresses = new ScriptedTools([present]);
  await updateInterface(
    { ...eth0, addresses: all.map((address) => ({ address, prefix: 32 })) },
    { tools: addresses, proc: '/proc', linkOfDevice: () => 'eth0' },
  );
  assert.equal(addresses.lines.length, 1_024);
  assert.ok(addresses.runs.length < 8, addresses.runs.join());
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
