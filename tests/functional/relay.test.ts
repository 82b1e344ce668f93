import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { Duplex } from 'node:stream';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { Health } from '@kata-agent/protocol/health';
import { connect, createClient } from '@kata-agent/ttrpc';
import { parseCertificate } from '@kata-agent/x509';
import { AgentProcess } from '../harness/agent-process.js';
import { Authority, type ClientCertificate } from '../harness/authority.js';
import { type DialledIn, DialServer } from '../harness/dial-server.js';
import { connectOperator, type Operator, openRelayed, speakTls } from '../harness/operator.js';
import { repository } from '../harness/repository.js';
import { answerOf, callAllMethods } from '../harness/sweep.js';
import { until } from '../harness/tls-engine.js';

const realmCa = new Authority('realm CA');
const operatorCa = new Authority('operator CA');
const certificate = realmCa.server(['localhost']);
const alice = operatorCa.client({ commonNames: [], uris: ['spiffe://example/ops/alice'] });
const bob = operatorCa.client({ commonNames: [], uris: ['spiffe://example/ops/bob'] });
const mallory = operatorCa.client({ commonNames: [], uris: ['spiffe://example/ops/mallory'] });

const connections = 6;

const example = readFileSync(`${repository}examples/realm.toml`, 'utf8');

function configOf(
  port: number,
  { rest = '', timeout = '5s', perSecond = 1000, places = connections } = {},
): string {
  const crl = operatorCa.revocationList([mallory.serial()]);
  return `[api]
release = "4.1"
allowed_endpoints = ["GetGuestDetails", "ReseedRandomDev", "GetOOMEvent", "ReadStdout"]

[[listener]]
name = "host"
address = "vsock://-1:1024"

[[listener]]
name = "realm"
address = "https://localhost:${port}/guests"
peers = ["uri:spiffe://example/ops/*"]
allowed_endpoints = ["GetGuestDetails", "GetOOMEvent", "ReadStdout"]
management = ["Describe", "WatchAudit", "RevokePeer"]
operators = [{ peers = ["*"], verbs = ["connect", "audit", "revoke"] }]
on_denied_read = "eof"
limits = { connections = ${places}, handshakes_per_second = ${perSecond}, handshake_timeout = "${timeout}" }
${rest}
[listener.tls]
server_ca = ${JSON.stringify(realmCa.pem)}
client_ca = ${JSON.stringify(operatorCa.pem)}
client_crl = ${JSON.stringify(crl)}

[[api.rule]]
name = "details-for-alice"
endpoints = ["GetGuestDetails"]
expression = 'listener != "realm" || "uri:spiffe://example/ops/alice" in peer.sans'
`;
}

type Fields = Readonly<Record<string, unknown>>;

/** An agent that has dialled a server. */
interface Guest {
  readonly server: DialServer;
  readonly agent: AgentProcess;
  /** The control connection. */
  readonly control: DialledIn;
}

async function startGuest(
  options: Parameters<typeof configOf>[1] = {},
  offered: ClientCertificate = certificate,
): Promise<Guest> {
  const server = await DialServer.start(offered);
  const agent = await AgentProcess.start({ config: configOf(server.port, options), sharesNetwork: true });
  return { server, agent, control: await server.next() };
}

async function stopGuest({ server, agent }: Guest): Promise<void> {
  await agent.dispose();
  await server.close();
}

function recordsOf({ agent }: Guest): readonly Fields[] {
  return agent.records().filter(({ listener }) => listener === 'realm');
}

function refusalsOf(guest: Guest): readonly Fields[] {
  return recordsOf(guest).filter(({ kind, method }) => kind === 'refusal' && method === '(connection)');
}

/** The code and reason of a record. */
function decisionText(record: Fields | undefined): string {
  const { code, reason } = (record?.['decision'] ?? {}) as {
    readonly code?: string;
    readonly reason?: string;
  };
  return `${code} ${reason}`;
}

function isClosed(socket: TLSSocket): Promise<void> {
  return until(() => socket.destroyed || socket.readableEnded);
}

/** All that the agent has open: its memory and what it has open only grow if something is left. */
function descriptorsOf({ agent }: Guest): number {
  return readdirSync(`/proc/${agent.process.pid}/fd`).length;
}

function residentKib({ agent }: Guest): number {
  const status = readFileSync(`/proc/${agent.process.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}

describe('operators of an https:// listener, by TLS inside connections of its server (R14)', () => {
  let guest: Guest;
  before(async () => {
    guest = await startGuest();
  });
  after(() => stopGuest(guest));

  const connected: Operator[] = [];
  const operator = async (options: ConnectionOptions): Promise<Operator> => {
    const made = await connectOperator(guest.server, guest.control, options);
    connected.push(made);
    return made;
  };
  // Also after a failure: there are few places.
  afterEach(() => {
    for (const { channel } of connected.splice(0)) channel.close();
  });

  it('the server learns the relay, and serves nothing but Health, management and the relay', async () => {
    const { control } = guest;
    assert.deepEqual(guest.server.relays, ['operator-tls']);
    assert.equal((await answerOf(control.health.check({}))).code, 'OK');
    const { listeners } = await control.management.describe({});
    const realm = listeners.find(({ name }) => name === 'realm');
    // What it serves to operators.
    assert.deepEqual(realm?.methods.toSorted(), ['GetGuestDetails', 'GetOOMEvent', 'ReadStdout']);
    assert.deepEqual(realm.management, ['Describe', 'WatchAudit', 'RevokePeer']);
  });

  it('each method of AgentService is denied to the server, and recorded', async () => {
    const answers = await callAllMethods(guest.control.agent);
    for (const [method, { code, message }] of answers) {
      assert.equal(code, 'UNIMPLEMENTED', `${method}: ${code}`);
      assert.match(message, /only operators call it/, method);
    }
    // Also a read, whose denial is an end of file elsewhere on this listener.
    assert.ok(answers.has('ReadStdout'));
    const denied = (): ReadonlySet<unknown> =>
      new Set(
        recordsOf(guest)
          .filter((record) => record['kind'] === 'refusal' && decisionText(record).startsWith('KA3008 '))
          .map(({ method }) => method),
      );
    await until(() => [...answers.keys()].every((method) => denied().has(method)));
  });

  it('serves its lists and rules to an operator, with the key of the first record', async () => {
    const { agent, health, management, socket, channel } = await operator(alice);
    const [boot] = guest.agent.records() as unknown as readonly { facts: { tls: { pin: string } } }[];
    const { raw } = socket.getPeerX509Certificate() ?? assert.fail();
    assert.equal(`spki:sha256:${parseCertificate(raw).spki}`, boot?.facts.tls.pin);
    assert.equal(socket.alpnProtocol, 'kata-agent-ttrpc');
    assert.equal((await answerOf(health.check({}))).code, 'OK');
    assert.equal((await answerOf(agent.getGuestDetails({}))).code, 'OK');
    assert.equal((await answerOf(agent.reseedRandomDev({ data: new Uint8Array(8) }))).code, 'UNIMPLEMENTED');
    const { listeners } = await management.describe({});
    assert.deepEqual(
      listeners.map(({ name, connections: open }) => [name, open]).filter(([name]) => name === 'realm'),
      [['realm', 2]],
    );
    channel.close();
  });

  it('records the connection of an operator, its calls and its end under its certificate', async () => {
    const { agent, channel } = await operator(alice);
    await agent.getGuestDetails({});
    channel.close();
    const ends = (): readonly Fields[] =>
      recordsOf(guest).filter(
        ({ kind, method, peer }) =>
          kind === 'outcome' && method === '(connection)' && String(peer).startsWith('tls '),
      );
    await until(() => ends().length >= 2);
    const intent = recordsOf(guest).findLast(
      ({ kind, method }) => kind === 'intent' && method === '(connection)',
    );
    assert.match(
      String(intent?.['peer']),
      /^tls sha256:[0-9a-f]{64} uri:spiffe:\/\/example\/ops\/alice via https localhost$/,
    );
    assert.match(decisionText(intent), /an operator, by TLS inside a connection to the server/);
    assert.equal(ends().at(-1)?.['intent'], intent?.['sequence']);
    assert.ok(
      recordsOf(guest).some(({ method, peer }) => method === 'GetGuestDetails' && peer === intent?.['peer']),
    );
    assert.ok(recordsOf(guest).some(({ method, kind }) => method === 'OpenConnection' && kind === 'call'));
  });

  it('serves two operators at once, whom rules tell apart, and streams to one of them', async () => {
    const [first, second] = await Promise.all([operator(alice), operator(bob)]);
    const lines: string[] = [];
    const watching = (async () => {
      for await (const { records } of first.management.watchAudit({ from: 1n }))
        lines.push(...records.map((bytes) => Buffer.from(bytes).toString()));
    })().catch(() => undefined);
    const [ours, theirs] = await Promise.all([
      answerOf(first.agent.getGuestDetails({})),
      answerOf(second.agent.getGuestDetails({})),
    ]);
    assert.equal(ours.code, 'OK');
    assert.match(theirs.message, /details-for-alice/);
    await until(() => lines.some((line) => line.includes('details-for-alice') && line.includes('ops/bob')));
    first.channel.close();
    second.channel.close();
    await watching;
  });

  it('the kernel watches the connections of operators, in which nothing may be sent for hours', async () => {
    const { channel, health } = await operator(alice);
    await health.check({});
    const remote = `:${guest.server.port.toString(16).toUpperCase().padStart(4, '0')}`;
    /** The kind of the active timer of each connection to the server (proc_net_tcp.rst). */
    const timers = (): readonly string[] =>
      readFileSync('/proc/net/tcp', 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter(([, , to = '', state]) => to.endsWith(remote) && state === '01')
        .map(([, , , , , timer = '']) => timer.slice(0, 2));
    // Keep-alive, once all that was sent is acknowledged; the control connection has Health for it.
    await until(() => timers().length === 2 && timers().includes('02'));
    channel.close();
    await until(() => guest.server.connections === 1);
  });

  it('a call that waits for an event waits', async () => {
    const { agent, channel } = await operator(alice);
    const waiting = answerOf(agent.getOOMEvent({}, { timeoutMs: 1_500 }));
    assert.equal((await answerOf(agent.getGuestDetails({}))).code, 'OK');
    assert.equal((await waiting).code, 'DEADLINE_EXCEEDED');
    channel.close();
  });

  it('the relay is not served to operators, nor to the host', async () => {
    const { relay, channel } = await operator(alice);
    assert.equal((await answerOf(relay.openConnection({ token: randomBytes(32) }))).code, 'UNIMPLEMENTED');
    channel.close();
    await until(() =>
      recordsOf(guest).some(
        (record) => record['method'] === '(unknown)' && decisionText(record).startsWith('KA3006 '),
      ),
    );
  });

  for (const [what, options, expectedText] of [
    ['without a certificate', {}, /KA3203 the client sent no certificate/],
    ['of another CA', new Authority('other').client(), /KA3203 no CA of client_ca has signed/],
    [
      'with the certificate of the server',
      certificate,
      /KA3203 (no CA of client_ca has signed|clientAuth is not)/,
    ],
    [
      'with an expired certificate',
      operatorCa.client({ uris: ['spiffe://example/ops/old'], notAfter: Date.now() - 60_000 }),
      /KA3203 the client's certificate has expired/,
    ],
    ['on the CRL', mallory, /KA3203 the client's certificate is revoked/],
    ['not in peers', operatorCa.client(), /KA3203 the client's certificate is not in peers/],
    ['without ALPN', { ...alice, ALPNProtocols: undefined }, /KA3203 the client does not offer the protocol/],
    ['of HTTP', { ...alice, ALPNProtocols: ['http/1.1'] }, /KA3203 .*(protocol|handshake)/],
    ['of TLS 1.2', { ...alice, maxVersion: 'TLSv1.2' }, /KA3203 the client does not offer TLS 1\.3/],
    ['with a finite-field group', { ...alice, ecdhCurve: 'ffdhe2048' }, /KA3203 the handshake failed/],
  ] as const)
    it(`an operator ${what} is refused, and recorded`, async () => {
      const outer = await openRelayed(guest.server, guest.control);
      const socket = await speakTls(outer, options as ConnectionOptions).catch(() => undefined);
      socket?.write('request');
      await isClosed(outer);
      // Equal refusals are counted in one record.
      const found = (): Fields | undefined =>
        refusalsOf(guest).find((record) => expectedText.test(decisionText(record)));
      await until(() => found() !== undefined);
      assert.match(String(found()?.['peer']), /^tls (sha256:.* )?via https localhost$/);
    });

  for (const [what, send] of [
    ['plain text', (outer: TLSSocket) => outer.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['garbage', (outer: TLSSocket) => outer.write(randomBytes(2_000))],
    ['nothing, and then an end', (outer: TLSSocket) => outer.end()],
    ['half of a handshake', (outer: TLSSocket) => outer.end(Buffer.from('1603010200010001fc0303', 'hex'))],
    ['a reset', (outer: TLSSocket) => outer.destroy()],
  ] as const)
    it(`${what} instead of an operator's handshake costs that connection only`, async () => {
      const outer = await openRelayed(guest.server, guest.control);
      send(outer);
      await isClosed(outer);
      await until(() => guest.server.connections === 1);
      assert.ok(refusalsOf(guest).length > 0);
      const { agent, channel } = await operator(alice);
      assert.equal((await answerOf(agent.getGuestDetails({}))).code, 'OK');
      channel.close();
    });

  it('the first bytes of an operator can arrive with the answer of the server', async () => {
    guest.server.corksRelayed = true;
    const token = randomBytes(32);
    const arrived = guest.server.expect(token);
    const asked = guest.control.relay.openConnection({ token });
    const outer = await arrived;
    guest.server.corksRelayed = false;
    // TLS writes below the corked stream, unless another one is between.
    const between = new Duplex({
      read: () => undefined,
      write: (bytes: Buffer, _encoding, done) => {
        outer.write(bytes);
        // The first flight, with the answer: one record of TLS.
        process.nextTick(() => outer.uncork());
        done();
      },
    });
    outer.on('data', (bytes: Buffer) => between.push(bytes));
    const channel = connect(await speakTls(between, alice));
    await asked;
    assert.equal((await answerOf(createClient(Health, channel).check({}))).code, 'OK');
    channel.close();
    outer.destroy();
  });

  for (const size of [0, 31, 33, 64])
    it(`a token of ${size} bytes is an error, and nothing is dialled`, async () => {
      const before = guest.server.requests.length;
      const answer = await answerOf(guest.control.relay.openConnection({ token: randomBytes(size) }));
      assert.equal(answer.code, 'INVALID_ARGUMENT');
      assert.match(answer.message, new RegExp(`has ${size} bytes`));
      assert.equal(guest.server.requests.length, before);
    });

  it('a token that the server does not wait for fails, and is recorded as a server that is not accepted', async () => {
    const answer = await answerOf(guest.control.relay.openConnection({ token: randomBytes(32) }));
    assert.equal(answer.code, 'UNAVAILABLE');
    assert.match(answer.message, /the server answered 404 instead of 101/);
    const found = (): Fields | undefined =>
      refusalsOf(guest).find((record) => /KA3204 the server answered 404/.test(decisionText(record)));
    await until(() => found() !== undefined);
    assert.equal(found()?.['peer'], `https localhost spki:sha256:${certificate.spki()}`);
  });

  it('no more connections than its limit, of which one operator keeps none from another', async () => {
    await until(() => guest.server.connections === 1);
    const operators = await Promise.all(Array.from({ length: connections }, () => operator(alice)));
    await Promise.all(operators.map(({ health }) => health.check({})));
    // One that says nothing takes no place.
    const silent = await openRelayed(guest.server, guest.control);
    const over = await operator(alice);
    assert.notEqual((await answerOf(over.health.check({}))).code, 'OK');
    await until(() => refusalsOf(guest).some((record) => /all operators have 6/.test(decisionText(record))));
    const other = await operator(bob);
    assert.equal((await answerOf(other.health.check({}))).code, 'OK');
    await until(() =>
      refusalsOf(guest).some((record) => /given to another operator/.test(decisionText(record))),
    );
    const alive = await Promise.all(
      operators.map(async ({ health }) => (await answerOf(health.check({}))).code),
    );
    assert.equal(alive.filter((code) => code === 'OK').length, connections - 1);
    silent.destroy();
    for (const { channel } of [...operators, over, other]) channel.close();
    await until(() => guest.server.connections === 1);
  });

  it('operators stay when the control connection ends, and the next one has no further places', async () => {
    const stays = await operator(alice);
    guest.control.socket.destroy();
    const control = await guest.server.next();
    guest = { ...guest, control };
    assert.equal((await answerOf(stays.agent.getGuestDetails({}))).code, 'OK');
    const others = await Promise.all(Array.from({ length: connections - 1 }, () => operator(alice)));
    await Promise.all(others.map(({ health }) => health.check({})));
    const over = await operator(alice);
    assert.notEqual((await answerOf(over.health.check({}))).code, 'OK');
    for (const { channel } of [stays, ...others]) channel.close();
    await until(() => guest.server.connections === 1);
  });

  it('RevokePeer of an operator ends its connections only, and refuses it from then on', async () => {
    const [ours, theirs] = await Promise.all([operator(alice), operator(bob)]);
    await Promise.all([ours.health.check({}), theirs.health.check({})]);
    const { closed } = await ours.management.revokePeer({ peer: 'uri:spiffe://example/ops/bob' });
    assert.equal(closed, 1);
    await isClosed(theirs.socket);
    const again = await operator(bob);
    assert.notEqual((await answerOf(again.health.check({}))).code, 'OK');
    await until(() =>
      refusalsOf(guest).some((record) => /is revoked: by RevokePeer/.test(decisionText(record))),
    );
    assert.equal((await answerOf(ours.health.check({}))).code, 'OK');
    ours.channel.close();
  });

  it('leaves no descriptor after 200 connections, and little memory', async () => {
    await until(() => guest.server.connections === 1);
    const round = async (): Promise<void> => {
      const all = await Promise.all(
        Array.from({ length: connections }, () => retried(() => operator(alice))),
      );
      for (const { health } of all) await health.check({});
      for (const { channel } of all) channel.close();
      await until(() => guest.server.connections === 1);
    };
    for (let rounds = 0; rounds < 8; rounds += 1) await round();
    const before = { descriptors: descriptorsOf(guest), kib: residentKib(guest) };
    for (let made = 0; made < 200; made += connections) await round();
    await until(() => descriptorsOf(guest) <= before.descriptors);
    const grown = residentKib(guest) - before.kib;
    console.log(`after 200 connections of operators: ${grown} KiB more, ${before.descriptors} descriptors`);
    assert.ok(grown < 24 * 1024, `${grown} KiB`);
  });

  it('the agent ends with operators connected, and records their ends', async () => {
    const { channel } = await operator(alice);
    await openRelayed(guest.server, guest.control);
    assert.equal(await guest.agent.stop(), 0);
    await soon(channel.closed);
    await until(() => guest.server.connections === 0);
    const begun = recordsOf(guest).filter(
      ({ kind, method }) => kind === 'intent' && method === '(connection)',
    );
    const ended = new Set(recordsOf(guest).map(({ intent }) => intent));
    for (const { sequence } of begun) assert.ok(ended.has(sequence), String(sequence));
  });
});

describe('a server with relay = "operator-tls" that misbehaves', () => {
  const guests: Guest[] = [];
  const started = async (...args: Parameters<typeof startGuest>): Promise<Guest> => {
    const guest = await startGuest(...args);
    guests.push(guest);
    return guest;
  };
  afterEach(async () => {
    for (const guest of guests.splice(0)) await stopGuest(guest);
  });

  it('that never answers for an operator is given up, and its place is free again', async () => {
    const guest = await started({ timeout: '400ms' });
    guest.server.relayAnswer = null;
    const opened = Array.from({ length: connections }, () => {
      const token = randomBytes(32);
      void guest.server.expect(token);
      return answerOf(guest.control.relay.openConnection({ token }));
    });
    const over = await answerOf(guest.control.relay.openConnection({ token: randomBytes(32) }));
    assert.equal(over.code, 'RESOURCE_EXHAUSTED');
    for (const { code, message } of await Promise.all(opened)) {
      assert.equal(code, 'UNAVAILABLE');
      assert.match(message, /no answer to the Upgrade within handshake_timeout/);
    }
    // The control connection is not affected.
    assert.equal((await answerOf(guest.control.health.check({}))).code, 'OK');
  });

  it('that asks for connections without end makes the guest dial no faster than its rate', async () => {
    const perSecond = 10;
    const guest = await started({ perSecond });
    const begin = performance.now();
    const end = begin + 2_500;
    let opened = 0;
    const ask = async (): Promise<void> => {
      while (performance.now() < end) {
        (await openRelayed(guest.server, guest.control)).destroy();
        opened += 1;
      }
    };
    await Promise.all([ask(), ask(), ask()]);
    const seconds = (performance.now() - begin) / 1_000;
    // A second's connections can come at once.
    assert.ok(opened <= perSecond * (seconds + 1) + 1, `${opened} in ${seconds} s`);
    assert.ok(opened >= perSecond * 2, `${opened} in ${seconds} s`);
    // An attempt that waits ends with the call.
    const waiting = Array.from({ length: connections }, () =>
      guest.control.relay.openConnection({ token: randomBytes(32) }, { timeoutMs: 150 }),
    );
    const answers = await Promise.all(waiting.map(answerOf));
    assert.ok(answers.some(({ code }) => code === 'DEADLINE_EXCEEDED'));
    await delay(100);
    (await openRelayed(guest.server, guest.control)).destroy();
  });

  it('that waits for no answer any more: the attempt ends with the call', async () => {
    const guest = await started({ timeout: '20s' });
    guest.server.relayAnswer = null;
    const token = randomBytes(32);
    void guest.server.expect(token);
    const answer = await answerOf(guest.control.relay.openConnection({ token }, { timeoutMs: 300 }));
    assert.equal(answer.code, 'DEADLINE_EXCEEDED');
    await until(() => guest.server.connections === 1);
  });

  it('an operator that says nothing is closed after handshake_timeout', async () => {
    const guest = await started({ timeout: '500ms' });
    const outer = await openRelayed(guest.server, guest.control);
    await isClosed(outer);
    await until(() => /KA3203 the handshake took too long/.test(decisionText(refusalsOf(guest).at(-1))));
  });

  it('that has one operator ask for all connections leaves places for others', async () => {
    const guest = await started({ places: 20 });
    const held = await Promise.all(
      Array.from({ length: 16 }, () => connectOperator(guest.server, guest.control, alice)),
    );
    for (const { health } of held) assert.equal((await answerOf(health.check({}))).code, 'OK');
    const renewed = operatorCa.client({ commonNames: [], uris: ['spiffe://example/ops/alice'] });
    const over = await connectOperator(guest.server, guest.control, renewed);
    assert.notEqual((await answerOf(over.health.check({}))).code, 'OK');
    await until(() => refusalsOf(guest).length === 1);
    assert.match(decisionText(refusalsOf(guest)[0]), /KA3203 the operator has 16 connections/);
    const other = await connectOperator(guest.server, guest.control, bob);
    assert.equal((await answerOf(other.health.check({}))).code, 'OK');
    held[0]?.channel.close();
    await until(() => guest.server.connections === 1 + 15 + 1);
    const again = await connectOperator(guest.server, guest.control, renewed);
    assert.equal((await answerOf(again.health.check({}))).code, 'OK');
  });

  it('that closes a connection in the middle of a call ends that connection only', async () => {
    const guest = await started();
    const [one, other] = await Promise.all([
      connectOperator(guest.server, guest.control, alice),
      connectOperator(guest.server, guest.control, alice),
    ]);
    const waiting = answerOf(one.agent.getOOMEvent({}));
    await delay(100);
    one.outer.destroy();
    assert.notEqual((await waiting).code, 'OK');
    assert.equal((await answerOf(other.agent.getGuestDetails({}))).code, 'OK');
    other.channel.close();
  });

  it('whose certificate expires loses them too', async () => {
    const notAfter = Math.floor(Date.now() / 1_000) * 1_000 + 4_000;
    const guest = await started({}, realmCa.server(['localhost'], { notAfter }));
    const { channel, health } = await connectOperator(guest.server, guest.control, alice);
    assert.equal((await answerOf(health.check({}))).code, 'OK');
    await soon(channel.closed);
    assert.ok(Date.now() >= notAfter - 50);
  });

  it('an operator whose certificate expires is cut off, in the middle of a call', async () => {
    const guest = await started();
    const notAfter = Math.floor(Date.now() / 1_000) * 1_000 + 3_000;
    const brief = operatorCa.client({ uris: ['spiffe://example/ops/brief'], notAfter });
    const { agent, channel } = await connectOperator(guest.server, guest.control, brief);
    assert.notEqual((await answerOf(agent.getOOMEvent({}))).code, 'OK');
    await soon(channel.closed);
    assert.ok(Date.now() >= notAfter - 50);
    assert.equal((await answerOf(guest.control.health.check({}))).code, 'OK');
  });

  it('a chain of 100 KB before the handshake ends closes it, and costs others nothing', async () => {
    const guest = await started();
    const stranger = new Authority('other').client({ uris: ['spiffe://example/ops/alice'] });
    // Each certificate has about 500 bytes, and signs nothing.
    const filler = Array.from({ length: 150 }, () => new Authority(`CA ${'x'.repeat(60)}`).pem).join('');
    const outer = await openRelayed(guest.server, guest.control);
    const socket = await speakTls(outer, { key: stranger.key, cert: `${stranger.cert}${filler}` }).catch(
      () => undefined,
    );
    socket?.write('request');
    await isClosed(outer);
    await until(() => refusalsOf(guest).length > 0);
    assert.match(decisionText(refusalsOf(guest).at(-1)), /sent more than 10 KiB/);
    // Nobody else is affected.
    const { health, channel } = await connectOperator(guest.server, guest.control, alice);
    assert.equal((await answerOf(health.check({}))).code, 'OK');
    channel.close();
    assert.equal((await answerOf(guest.control.health.check({}))).code, 'OK');
    const onHost = await guest.agent.connect();
    assert.equal((await answerOf(onHost.agent.getGuestDetails({}))).code, 'OK');
  });
});

describe('examples/realm.toml', () => {
  it('has operators who run commands through the realm, which runs none itself', async () => {
    const [serverCa, clientCa] = example.match(/"""\n-----BEGIN[^"]*"""/g) ?? [];
    assert.ok(serverCa !== undefined && clientCa !== undefined);
    const server = await DialServer.start(certificate);
    const config = example
      .replace(serverCa, JSON.stringify(realmCa.pem))
      .replace(clientCa, JSON.stringify(operatorCa.pem))
      .replace('realm.example:8443', `localhost:${server.port}`);
    const agent = await AgentProcess.start({ config, sharesNetwork: true });
    const control = await server.next();
    const exec = { containerId: 'c', execId: 'e' };
    assert.equal((await answerOf(control.agent.execProcess(exec))).code, 'UNIMPLEMENTED');
    const { agent: asAlice, channel } = await connectOperator(server, control, alice);
    // Served: there is no such container.
    assert.match((await answerOf(asAlice.execProcess(exec))).code, /NOT_FOUND|INVALID_ARGUMENT/);
    const output = { containerId: 'c', execId: 'c', len: 1 };
    assert.match((await answerOf(asAlice.readStdout(output))).message, /output-for-auditors/);
    channel.close();
    await stopGuest({ server, agent, control });
  });
});

/** Fails if something does not happen within 20 s. */
async function soon(event: Promise<void>): Promise<void> {
  const late = delay(20_000, 'late', { ref: false });
  assert.notEqual(await Promise.race([event, late]), 'late');
}

/** Tries again while places are not yet free. */
async function retried<T>(make: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await make();
    } catch (error) {
      if (tries === 50) throw error;
      await delay(20);
    }
  }
}
