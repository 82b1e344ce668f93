import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { Authority } from '../harness/authority.js';
import { type DialledIn, DialServer } from '../harness/dial-server.js';
import { connectOperator, type Operator } from '../harness/operator.js';
import { ConnectProxy } from '../harness/proxy.js';
import { answerOf } from '../harness/sweep.js';
import { until } from '../harness/tls-engine.js';

const realmCa = new Authority('realm CA');
const operatorCa = new Authority('operator CA');
// No name of this test can be looked up: RFC 6761 reserves "invalid".
const name = 'realm.invalid';
const place = `${name}:8443`;
const certificate = realmCa.server([name]);
const alice = operatorCa.client({ commonNames: ['alice'] });
const connectLine = `CONNECT ${place} HTTP/1.1\r\n`;

describe('operators of an https:// listener behind a proxy (R14)', () => {
  let server: DialServer;
  let proxy: ConnectProxy;
  let agent: AgentProcess;
  let guest: DialledIn;
  const connected: Operator[] = [];

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
peers = ["cn:alice"]
tls.server_ca = ${JSON.stringify(realmCa.pem)}
tls.pins = ["spki:sha256:${certificate.spki()}"]
tls.client_ca = ${JSON.stringify(operatorCa.pem)}
limits = { connections = 3, handshakes_per_second = 1000, handshake_timeout = "2s" }
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
  afterEach(async () => {
    proxy.behaviour = undefined;
    for (const { channel } of connected.splice(0)) channel.close();
    await until(() => server.connections <= 1);
  });

  const operator = async (): Promise<Operator> => {
    const made = await connectOperator(server, guest, alice);
    connected.push(made);
    return made;
  };
  const open = (): ReturnType<typeof answerOf> =>
    answerOf(guest.relay.openConnection({ token: randomBytes(32) }));
  /** Whether the control connection is the first one, and serves. */
  const isServed = async (): Promise<boolean> =>
    server.relays.length === 1 && (await answerOf(guest.health.check({}))).code === 'OK';
  const descriptors = (): number => readdirSync(`/proc/${agent.process.pid}/fd`).length;

  it('each connection is a CONNECT of its own, and the proxy learns the place of the server only', async () => {
    const { agent: api } = await operator();
    await operator();
    assert.equal((await answerOf(api.getGuestDetails({}))).code, 'OK');
    // Read whole, and too much entropy.
    const large = await answerOf(api.reseedRandomDev({ data: new Uint8Array(1_000_000) }));
    assert.equal(large.code, 'INVALID_ARGUMENT');
    assert.equal(proxy.requests.length, 3);
    assert.deepEqual(
      [...new Set(proxy.requests)],
      [`${connectLine}Host: ${place}\r\nConnection: close\r\n\r\n`],
    );
  });

  it('the kernel watches the connections of operators to the proxy', async () => {
    const { health } = await operator();
    await health.check({});
    const remote = `:${proxy.port.toString(16).toUpperCase().padStart(4, '0')}`;
    const timers = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , to = '', state]) => to.endsWith(remote) && state === '01')
      .map(([, , , , , timer = '']) => timer.slice(0, 2));
    // Keep-alive (proc_net_tcp.rst).
    assert.ok(timers.length === 2 && timers.includes('02'), timers.join());
  });

  const secret = 'a text that the proxy chose';
  for (const [what, behaviour, expectedText] of [
    [
      'refuses',
      (client) => client.end(`HTTP/1.1 403 ${secret}\r\n\r\n`),
      /the proxy 127\.0\.0\.1:\d+ answered 403/,
    ],
    ['closes', (client) => client.end(), /cannot be used: ECONNRESET/],
    ['is silent', () => undefined, /has not connected: no handshake within handshake_timeout/],
  ] as const satisfies readonly (readonly [string, NonNullable<ConnectProxy['behaviour']>, RegExp])[])
    it(`a proxy that ${what} costs the connection of that operator only`, async () => {
      const records = agent.records().length;
      const opened = descriptors();
      proxy.behaviour = behaviour;
      // More than there are places: none is kept.
      for (let count = 0; count < (what === 'is silent' ? 1 : 5); count += 1) {
        const { code, message } = await open();
        assert.equal(code, 'UNAVAILABLE');
        assert.match(message, expectedText);
        assert.ok(!message.includes(secret), message);
      }
      await until(() => descriptors() <= opened);
      assert.ok(await isServed());
      // The server was not reached: that is no decision about it.
      const refusals = agent
        .records()
        .slice(records)
        .filter(({ kind }) => kind === 'refusal');
      assert.deepEqual(refusals, []);
      proxy.behaviour = undefined;
      const { agent: api } = await operator();
      assert.equal((await answerOf(api.getGuestDetails({}))).code, 'OK');
    });

  it('a proxy that connects an operator to another server is found out, and recorded', async () => {
    const other = await DialServer.start(new Authority('other').server([name]));
    try {
      proxy.places.set(place, other.port);
      const { code, message } = await open();
      assert.equal(code, 'UNAVAILABLE');
      assert.match(message, /not accepted by server_ca/);
      assert.deepEqual(other.requests, []);
      await until(() =>
        agent
          .records()
          .some(
            ({ kind, decision }) =>
              kind === 'refusal' && (decision as { readonly code?: string }).code === 'KA3204',
          ),
      );
      assert.ok(await isServed());
    } finally {
      proxy.places.set(place, server.port);
      await other.close();
    }
  });

  it('all connections end with the agent', async () => {
    const { channel } = await operator();
    assert.equal(await agent.stop(), 0);
    await Promise.all([channel.closed, guest.channel.closed]);
  });
});
