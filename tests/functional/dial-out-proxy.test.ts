import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import {
  DialOut,
  type DialOutOptions,
  makeOwnIdentity,
  type OwnIdentity,
  Revocations,
} from '@kata-agent/agent/tls';
import { AgentProcess } from '../harness/agent-process.js';
import { Authority } from '../harness/authority.js';
import { type DialledIn, DialServer } from '../harness/dial-server.js';
import { ConnectProxy } from '../harness/proxy.js';
import { answerOf } from '../harness/sweep.js';

const ca = new Authority('realm CA');
// No name of this test can be looked up: RFC 6761 reserves "invalid".
const name = 'realm.invalid';
const place = `${name}:8443`;
const certificate = ca.server([name]);

describe('an https:// listener behind a proxy (R14)', () => {
  let server: DialServer;
  let proxy: ConnectProxy;
  let agent: AgentProcess;
  let guest: DialledIn;

  before(async () => {
    server = await DialServer.start(certificate);
    proxy = await ConnectProxy.start({ [place]: server.port });
    agent = await AgentProcess.start({
      config: `[api]
release = "4.1"
allowed_endpoints = ["GetGuestDetails", "ReseedRandomDev"]

[[listener]]
name = "realm"
address = "https://${place}/guests"
proxy = "http://127.0.0.1:${proxy.port}"
relay = "trusted"
tls.server_ca = ${JSON.stringify(ca.pem)}
tls.pins = ["spki:sha256:${certificate.spki()}"]
management = ["Describe"]
`,
      sharesNetwork: true,
    });
    guest = await server.next();
  });
  after(async () => {
    await agent.dispose();
    await server.close();
    proxy.close();
  });

  it('is served through it, and the proxy learns the place of the server only', async () => {
    assert.equal((await answerOf(guest.agent.getGuestDetails({}))).code, 'OK');
    const calls = Array.from({ length: 200 }, () => answerOf(guest.health.check({})));
    for (const { code } of await Promise.all(calls)) assert.equal(code, 'OK');
    const large = await answerOf(guest.agent.reseedRandomDev({ data: new Uint8Array(1_000_000) }));
    // Read whole, and too much entropy.
    assert.equal(large.code, 'INVALID_ARGUMENT');
    assert.deepEqual(proxy.requests, [
      `CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\nConnection: close\r\n\r\n`,
    ]);
    assert.deepEqual(server.requests, [`GET /guests kata-agent-ttrpc/1 ${place}`]);
  });

  it('dials again through it after the connection ended', async () => {
    guest.socket.destroy();
    guest = await server.next();
    assert.equal((await answerOf(guest.health.check({}))).code, 'OK');
    assert.equal(proxy.requests.length, 2);
  });

  it('ends with the agent', async () => {
    assert.equal(await agent.stop(), 0);
    await guest.channel.closed;
  });
});

describe('a proxy', () => {
  const cleanups: (() => unknown)[] = [];
  let own: OwnIdentity;

  before(async () => {
    own = await makeOwnIdentity({ clockFloor: Date.UTC(2026, 0) });
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function dial(
    places: Readonly<Record<string, number>>,
    change: Partial<DialOutOptions['dial']> & Pick<DialOutOptions, 'times'> = {},
  ): Promise<{ proxy: ConnectProxy; failures: string[]; refusals: string[]; served: TLSSocket[] }> {
    const proxy = await ConnectProxy.start(places);
    const { times, ...rest } = change;
    const seen = { failures: [] as string[], refusals: [] as string[], served: [] as TLSSocket[] };
    const listener = new DialOut({
      name: 'realm',
      address: `https://${place}/guests`,
      peers: [],
      limits: { connections: 1 },
      dial: {
        serverCa: ca.pem,
        pins: [],
        relay: { kind: 'trusted' },
        handshakeTimeoutMs: 5_000,
        proxy: `http://127.0.0.1:${proxy.port}`,
        ...rest,
      },
      own,
      revocations: new Revocations(),
      records: { begin: async () => () => undefined },
      audit: { refuse: (_call, { reason }) => void seen.refusals.push(reason) },
      log: (_level, message, extras) =>
        message.startsWith('server') && void seen.failures.push(`${message} ${JSON.stringify(extras)}`),
      limitUnacknowledged: () => undefined,
      serve: (stream) => void seen.served.push(stream.resume()),
      times: { waitMs: () => 20, ...times },
    });
    cleanups.push(async () => {
      await listener.close();
      for (const stream of seen.served) stream.destroy();
      proxy.close();
    });
    listener.start();
    return { proxy, ...seen };
  }

  async function until(met: () => boolean): Promise<void> {
    const end = Date.now() + 10_000;
    while (!met()) {
      assert.ok(Date.now() < end, 'it does not happen');
      await delay(5);
    }
  }

  const secret = 'a text that the proxy chose';
  for (const [what, behaviour, expectedText] of [
    [
      'that wants credentials',
      (client) =>
        client.end(
          `HTTP/1.1 407 ${secret}\r\nProxy-Authenticate: Basic realm="${secret}"\r\nContent-Length: 5\r\n\r\nhello`,
        ),
      /answered 407/,
    ],
    ['that reaches no server', (client) => client.end(`HTTP/1.1 502 ${secret}\r\n\r\n`), /answered 502/],
    [
      'that redirects',
      (client) => client.end('HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n'),
      /answered 302/,
    ],
    ['that sends a 1xx first', (client) => client.write('HTTP/1.1 103 Early Hints\r\n\r\n'), /answered 103/],
    ['that speaks something else', (client) => client.end(`SSH-2.0-${secret}\r\n`), /cannot be used: HPE_/],
    ['that closes', (client) => client.end(), /cannot be used: ECONNRESET/],
    ['that resets', (client) => client.resetAndDestroy(), /cannot be used: ECONNRESET/],
    [
      'with headers of 1 MB',
      (client) => client.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1_000_000)}\r\n\r\n`),
      /cannot be used: HPE_HEADER_OVERFLOW/,
    ],
    [
      'with headers without end',
      (client) => client.write(`HTTP/1.1 200 OK\r\n${'X: 1\r\n'.repeat(200_000)}`),
      /cannot be used: HPE_HEADER_OVERFLOW/,
    ],
    [
      'that sends a body of 1 MB',
      (client) => client.write(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1_000_000)}`),
      /answered 200, and sent more/,
    ],
    [
      'that sends bytes after its answer',
      (client) => client.write('HTTP/1.1 200 OK\r\n\r\nx'),
      /answered 200, and sent more/,
    ],
  ] as const satisfies readonly (readonly [string, NonNullable<ConnectProxy['behaviour']>, RegExp])[])
    it(`${what} is a failure with its name and status, and no text of it`, async () => {
      const { proxy, failures, refusals, served } = await dial({});
      proxy.behaviour = behaviour;
      await until(() => proxy.requests.length >= 3 && failures.length > 0);
      const [first = ''] = failures;
      assert.match(first, expectedText);
      assert.ok(first.includes(`the proxy 127.0.0.1:${proxy.port} `), first);
      assert.ok(!failures.join('').includes(secret), first);
      // The server was not reached: that is no decision about it.
      assert.deepEqual([refusals, served], [[], []]);
    });

  it('that is silent, and one that drips, ends with handshake_timeout', async () => {
    for (const drips of [false, true]) {
      const { proxy, failures, served } = await dial({}, { handshakeTimeoutMs: 200 });
      proxy.behaviour = (client) => {
        client.write('HTTP/1.1 200 OK\r\nX: ');
        const timer = setInterval(() => drips && client.write('x'), 10);
        client.once('close', () => clearInterval(timer));
      };
      await until(() => proxy.requests.length >= 3);
      assert.match(
        failures[0] ?? '',
        /the proxy 127\.0\.0\.1:\d+ has not connected: no handshake within handshake_timeout/,
      );
      assert.deepEqual(served, []);
    }
  });

  it('that is not there is a failure', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as { port: number };
    free.close();
    const { failures } = await dial({}, { proxy: `http://127.0.0.1:${port}` });
    await until(() => failures.length > 0);
    assert.match(
      failures[0] ?? '',
      new RegExp(`the proxy 127\\.0\\.0\\.1:${port} cannot be used: ECONNREFUSED`),
    );
  });

  it('that connects to another server is found out by name, CA and pin', async () => {
    for (const [offered, change, expectedText] of [
      [ca.server(['other.invalid']), {}, /does not name realm\.invalid/],
      [new Authority('other').server([name]), {}, /not accepted by server_ca/],
      [certificate, { pins: [`spki:sha256:${'0'.repeat(64)}`] }, /not in pins/],
    ] as const) {
      const server = await DialServer.start(offered);
      cleanups.push(() => server.close());
      const { refusals, served } = await dial({ [place]: server.port }, change);
      await until(() => refusals.length >= 2);
      assert.match(refusals[0] ?? '', expectedText);
      assert.deepEqual([served, server.requests], [[], []]);
    }
  });

  it('that answers, and then speaks itself instead of the server, is not accepted', async () => {
    const { proxy, refusals, served } = await dial({});
    proxy.behaviour = (client) => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.once('data', () => client.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
    };
    await until(() => refusals.length >= 2);
    assert.match(refusals[0] ?? '', /the handshake failed: E/);
    assert.deepEqual(served, []);
  });

  it('that drops a connection ends it at once; one that hangs ends it after the silence', async () => {
    const server = await DialServer.start(certificate);
    cleanups.push(() => server.close());
    const { proxy, served } = await dial({ [place]: server.port }, { times: { silenceMs: 300 } });
    await server.next();
    await until(() => served.length === 1);
    // Nothing calls Health here.
    await until(() => served[0]?.destroyed === true);
    await until(() => served.length === 2);
    proxy.close();
    await until(() => served[1]?.destroyed === true);
  });
});
