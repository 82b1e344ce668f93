import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import {
  DialOut,
  type DialOutOptions,
  makeOwnIdentity,
  type OwnIdentity,
  Revocations,
} from '@kata-agent/agent/tls';
import { parseCertificate } from '@kata-agent/x509';
import { AgentProcess } from '../harness/agent-process.js';
import { Authority } from '../harness/authority.js';
import { accepted, type DialledIn, DialServer } from '../harness/dial-server.js';
import { answerOf } from '../harness/sweep.js';

const ca = new Authority('realm CA');
const certificate = ca.server(['localhost']);

function configOf(port: number, tls = `server_ca = ${JSON.stringify(ca.pem)}`, rest = ''): string {
  return `[api]
release = "4.1"
allowed_endpoints = ["GetGuestDetails", "ReseedRandomDev"]

[[listener]]
name = "host"
address = "vsock://-1:1024"

[[listener]]
name = "realm"
address = "https://localhost:${port}/guests"
tls = { ${tls} }
relay = "trusted"
allowed_endpoints = ["GetGuestDetails"]
management = ["Describe", "RevokePeer"]

[[api.rule]]
name = "realm-by-key"
endpoints = ["GetGuestDetails"]
expression = 'listener != "realm" || (peer.kind == "tls" && "dns:localhost" in peer.sans)'
${rest}`;
}

type Fields = Readonly<Record<string, unknown>>;

describe('an https:// listener of an agent (R14, S26)', () => {
  let server: DialServer;
  let agent: AgentProcess;
  let guest: DialledIn;
  const peer = `https localhost spki:sha256:${certificate.spki()}`;

  before(async () => {
    server = await DialServer.start(certificate);
    agent = await AgentProcess.start({
      config: configOf(
        server.port,
        `server_ca = ${JSON.stringify(ca.pem)}, pins = ["spki:sha256:${certificate.spki()}"]`,
      ),
      sharesNetwork: true,
      // No proxy of the environment is used: nothing listens there.
      env: {
        HTTPS_PROXY: 'http://127.0.0.1:1',
        https_proxy: 'http://127.0.0.1:1',
        HTTP_PROXY: 'http://127.0.0.1:1',
        ALL_PROXY: 'http://127.0.0.1:1',
        NODE_USE_ENV_PROXY: '1',
      },
    });
    guest = await server.next();
  });
  after(async () => {
    await agent.dispose();
    await server.close();
  });

  it('serves the lists of that listener to the server, whom rules see by its certificate', async () => {
    assert.deepEqual(server.requests, [`GET /guests kata-agent-ttrpc/1 localhost:${server.port}`]);
    assert.equal((await answerOf(guest.health.check({}))).code, 'OK');
    assert.equal((await answerOf(guest.agent.getGuestDetails({}))).code, 'OK');
    assert.equal(
      (await answerOf(guest.agent.reseedRandomDev({ data: new Uint8Array(8) }))).code,
      'UNIMPLEMENTED',
    );
    const onHost = await agent.connect();
    assert.equal((await answerOf(onHost.agent.reseedRandomDev({ data: new Uint8Array(8) }))).code, 'OK');
    const { listeners } = await guest.management.describe({});
    assert.deepEqual(
      listeners.map(({ name, connections }) => [name, connections]),
      [['realm', 1]],
    );
  });

  it('presents the key of the first record', () => {
    const [boot] = agent.records() as unknown as readonly { facts: { tls: { pin: string } } }[];
    const { raw } = guest.socket.getPeerX509Certificate() ?? assert.fail();
    assert.equal(`spki:sha256:${parseCertificate(raw).spki}`, boot?.facts.tls.pin);
  });

  it('records the connection, its calls and its end', async () => {
    const records = (): readonly Fields[] => agent.records().filter(({ listener }) => listener === 'realm');
    const [begin] = records();
    assert.equal(begin?.['kind'], 'intent');
    assert.equal(begin['method'], '(connection)');
    assert.equal(begin['peer'], peer);
    assert.match(JSON.stringify(begin['decision']), /relay = \\"trusted\\"/);
    assert.ok(records().some(({ method, peer: from }) => method === 'GetGuestDetails' && from === peer));
    guest.socket.destroy();
    while (!records().some(({ kind, intent }) => kind === 'outcome' && intent === begin['sequence']))
      await delay(5);
    guest = await server.next();
    assert.equal((await answerOf(guest.health.check({}))).code, 'OK');
  });

  it('dials again after the server was away, while the host is served', async () => {
    const { port } = server;
    await server.close();
    const onHost = await agent.connect();
    assert.equal((await answerOf(onHost.agent.getGuestDetails({}))).code, 'OK');
    server = await DialServer.start(certificate, port);
    guest = await server.next();
    assert.equal((await answerOf(guest.agent.getGuestDetails({}))).code, 'OK');
  });

  it('a server is not revoked, also if it says so itself', async () => {
    const peer = `spki:sha256:${certificate.spki()}`;
    assert.equal((await answerOf(guest.management.revokePeer({ peer }))).code, 'OK');
    guest.socket.destroy();
    guest = await server.next();
    assert.equal((await answerOf(guest.health.check({}))).code, 'OK');
  });

  it('ends with the agent, in the middle of attempts', async () => {
    assert.equal(await agent.stop(), 0);
  });
});

describe('an agent whose server is not there', () => {
  it('starts, serves the host and ends', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as { port: number };
    free.close();
    const agent = await AgentProcess.start({ config: configOf(port), sharesNetwork: true });
    const onHost = await agent.connect();
    assert.equal((await answerOf(onHost.agent.getGuestDetails({}))).code, 'OK');
    while (!agent.log.some((line) => line.includes('server not reached') && line.includes('ECONNREFUSED')))
      await delay(10);
    const server = await DialServer.start(certificate, port);
    const guest = await server.next();
    assert.equal((await answerOf(guest.health.check({}))).code, 'OK');
    assert.equal(await agent.stop(), 0);
    await guest.channel.closed;
    const kinds = agent.records().flatMap(({ method, kind }) => (method === '(connection)' ? [kind] : []));
    assert.deepEqual(kinds, ['intent', 'outcome']);
    await agent.dispose();
    await server.close();
  });

  it('does not start with a server_ca that is not one', async () => {
    const { code, stderr } = await AgentProcess.run({
      config: configOf(1, `server_ca = ${JSON.stringify(certificate.cert)}`),
      sharesNetwork: true,
    });
    assert.equal(code, 3, stderr);
    assert.match(stderr, /listener realm: server_ca certificate 1 is not that of a CA/);
  });
});

/** A dialling listener that is not an agent: it writes to each connection that it serves. */
interface Dialled {
  readonly listener: DialOut;
  readonly refusals: { peer: string; text: string }[];
  readonly logged: string[];
  readonly served: TLSSocket[];
  readonly received: string[];
}

describe('a server that is not accepted gets no byte of ttRPC', () => {
  const cleanups: (() => unknown)[] = [];
  let own: OwnIdentity;

  before(async () => {
    own = await makeOwnIdentity({ clockFloor: Date.UTC(2026, 0) });
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  function dial(
    port: number,
    change: Partial<DialOutOptions['dial']> & { times?: DialOutOptions['times']; host?: string } = {},
  ): Dialled {
    const dialled: Omit<Dialled, 'listener'> = { refusals: [], logged: [], served: [], received: [] };
    const { times, host = 'localhost', ...rest } = change;
    const listener = new DialOut({
      name: 'realm',
      address: `https://${host}:${port}/guests`,
      peers: [],
      limits: { connections: 1 },
      dial: { serverCa: ca.pem, pins: [], relay: { kind: 'trusted' }, handshakeTimeoutMs: 5_000, ...rest },
      own,
      revocations: new Revocations(),
      records: { begin: async () => () => undefined },
      audit: {
        refuse: ({ peer }, { reason }) => void dialled.refusals.push({ peer, text: reason }),
      },
      log: (_level, message, extras) => void dialled.logged.push(`${message} ${JSON.stringify(extras)}`),
      limitUnacknowledged: () => undefined,
      serve: (stream) => {
        dialled.served.push(stream);
        stream.setEncoding('latin1').on('data', (text: string) => dialled.received.push(text));
        stream.write('a reply');
      },
      times: { waitMs: () => 20, ...times },
    });
    cleanups.push(async () => {
      await listener.close();
      for (const stream of dialled.served) stream.destroy();
    });
    listener.start();
    return { listener, ...dialled };
  }

  async function until(met: () => boolean): Promise<void> {
    const end = Date.now() + 10_000;
    while (!met()) {
      assert.ok(Date.now() < end, 'it does not happen');
      await delay(5);
    }
  }

  async function serverOf(...args: Parameters<typeof DialServer.start>): Promise<DialServer> {
    const server = await DialServer.start(...args);
    cleanups.push(() => server.close());
    return server;
  }

  /** An HTTPS server that answers each request with these bytes, and counts what follows it. */
  async function rawServer(
    answer: (socket: TLSSocket) => void,
    options: TlsOptions = {},
  ): Promise<{ port: number; requests: string[] }> {
    const requests: string[] = [];
    const server = createTlsServer(
      { ...certificate, minVersion: 'TLSv1.3', ALPNProtocols: ['http/1.1'], ...options },
      (socket) => {
        socket.on('error', () => undefined);
        let text = '';
        socket.on('data', (bytes: Buffer) => {
          const begin = text === '';
          text += bytes.toString('latin1');
          if (begin) requests.push('');
          requests[requests.length - 1] = text;
          if (begin) answer(socket);
        });
      },
    );
    await opened(server);
    return { port: (server.address() as { port: number }).port, requests };
  }

  async function opened(server: Server): Promise<void> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
  }

  for (const [what, offered, change, expectedText] of [
    ['of another CA', () => new Authority('other').server(['localhost']), {}, /not accepted by server_ca/],
    ['with another name', () => ca.server(['other.example']), {}, /does not name localhost/],
    [
      'with the name as common name only',
      () => ca.client({ commonNames: ['localhost'], usages: ['1.3.6.1.5.5.7.3.1'] }),
      {},
      /does not name localhost/,
    ],
    ['with another key', () => certificate, { pins: [`spki:sha256:${'0'.repeat(64)}`] }, /not in pins/],
    ['that has expired', () => ca.server(['localhost'], { notAfter: Date.now() - 1_000 }), {}, /has expired/],
    ['of a client', () => ca.client({ dns: ['localhost'] }), {}, /not accepted by server_ca/],
    [
      'for a name, where an IP address is dialled',
      () => ca.server(['localhost']),
      { host: '127.0.0.1' },
      /does not name 127/,
    ],
  ] as const)
    it(`a certificate ${what}`, async () => {
      const server = await serverOf(offered());
      const { refusals, served, logged } = dial(server.port, change);
      await until(() => refusals.length >= 2);
      for (const { text } of refusals) assert.match(text, expectedText);
      assert.deepEqual(served, []);
      // Not even the path of the address.
      assert.deepEqual(server.requests, []);
      assert.ok(logged.some((line) => line.includes('server not accepted') && line.includes('KA3204')));
    });

  it('plain HTTP', async () => {
    const seen: string[] = [];
    const server = createServer((socket) => {
      socket.on('data', (bytes) => {
        seen.push(bytes.toString('latin1'));
        socket.end(accepted);
      });
    });
    await opened(server);
    const { refusals, served } = dial((server.address() as { port: number }).port);
    await until(() => refusals.length >= 2);
    assert.match(refusals[0]?.text ?? '', /the handshake failed: E/);
    assert.equal(refusals[0]?.peer, 'https localhost');
    assert.deepEqual(served, []);
    assert.ok(!seen.join('').includes('/guests'));
  });

  it('a server that insists on a finite-field group, which costs the event loop a tenth of a second', async () => {
    const { port, requests } = await rawServer((socket) => socket.write(accepted), {
      ecdhCurve: 'ffdhe8192',
    });
    const { refusals, served } = dial(port);
    await until(() => refusals.length >= 2);
    assert.match(refusals[0]?.text ?? '', /the handshake failed: E/);
    assert.deepEqual(served, []);
    assert.deepEqual(requests, []);
  });

  const status = (line: string, headers = ''): string => `HTTP/1.1 ${line}\r\n${headers}\r\n`;
  const switching = (upgrade: string): string =>
    status('101 Switching Protocols', `Connection: Upgrade\r\n${upgrade}`);
  for (const [what, answer, expectedText] of [
    [
      '302',
      status('302 Found', 'Location: https://localhost/elsewhere\r\nContent-Length: 0\r\n'),
      /answered 302 instead/,
    ],
    ['200', status('200 OK', 'Content-Length: 4\r\n') + 'body', /answered 200 instead/],
    ['200 that upgrades', status('200 OK', 'Connection: Upgrade\r\nUpgrade: kata-agent-ttrpc/1\r\n'), /./],
    ['101 with another token', switching('Upgrade: websocket\r\n'), /another protocol/],
    ['101 with two tokens', switching('Upgrade: kata-agent-ttrpc/1\r\nUpgrade: h2c\r\n'), /another protocol/],
    ['101 without a token', switching(''), /./],
    ['103 first', status('103 Early Hints') + accepted, /answered 103/],
    [
      'huge headers',
      status('101 Switching Protocols', `X: ${'x'.repeat(100_000)}\r\n`),
      /HPE_HEADER_OVERFLOW/,
    ],
    ['headers without end', `HTTP/1.1 101 S\r\n${'X: 1\r\n'.repeat(20_000)}`, /HPE_HEADER_OVERFLOW/],
    ['something else', 'SSH-2.0-x\r\n', /HPE_/],
  ] as const)
    it(`the answer ${what}`, async () => {
      const { port, requests } = await rawServer((socket) => socket.write(answer, 'latin1'));
      const { refusals, served } = dial(port);
      await until(() => refusals.length >= 2);
      for (const { text, peer } of refusals) {
        assert.match(text, expectedText);
        assert.equal(peer, `https localhost spki:sha256:${certificate.spki()}`);
      }
      assert.deepEqual(served, []);
      for (const request of requests) assert.match(request, /^GET \/guests HTTP\/1\.1\r\n[^]*\r\n\r\n$/);
    });

  it('silence before the handshake, and after the request', async () => {
    const mute = createServer();
    await opened(mute);
    const times = { handshakeTimeoutMs: 150 };
    const { logged, refusals: none } = dial((mute.address() as { port: number }).port, times);
    await until(() => logged.some((line) => line.includes('no handshake within handshake_timeout')));
    assert.deepEqual(none, []);
    const { port } = await rawServer(() => undefined);
    const { refusals, served } = dial(port, times);
    await until(() => refusals.length >= 2);
    assert.match(refusals[0]?.text ?? '', /no answer to the Upgrade within handshake_timeout/);
    assert.deepEqual(served, []);
  });

  it('but one that answers at once, with calls in the same packet, is served all of them', async () => {
    const { port } = await rawServer((socket) => socket.write(`${accepted}first`));
    const { served, received } = dial(port);
    await until(() => received.join('') === 'first');
    assert.equal(served.length, 1);
  });

  it('a connection ends when nothing was received for a while, whatever was sent', async () => {
    let busy = true;
    const { port, requests } = await rawServer((socket) => {
      socket.write(accepted);
      const timer = setInterval(() => busy && socket.write('x'), 20);
      socket.once('close', () => clearInterval(timer));
    });
    const { served, logged } = dial(port, { times: { silenceMs: 300 } });
    const sending = setInterval(() => served[0]?.write('a reply'), 20);
    await delay(900);
    assert.equal(served[0]?.destroyed, false);
    busy = false;
    await until(() => requests.length === 2);
    clearInterval(sending);
    assert.ok(
      logged.some((line) => line.includes('nothing was received for 0.3 s')),
      logged.join('\n'),
    );
  });

  it('attempts after a connection that lasted are spread more widely than the first ones', async () => {
    const waits: string[] = [];
    const { port } = await rawServer((socket) => socket.write(accepted));
    dial(port, {
      times: {
        steadyMs: 50,
        silenceMs: 150,
        waitMs: (failures, lost) => {
          waits.push(`${failures} ${lost}`);
          return 10;
        },
      },
    });
    await until(() => waits.length >= 3);
    assert.deepEqual(waits.slice(0, 3), ['0 true', '0 true', '0 true']);
    const others: string[] = [];
    dial(1, {
      times: {
        waitMs: (failures, lost) => {
          others.push(`${failures} ${lost}`);
          return 10;
        },
      },
    });
    await until(() => others.length >= 3);
    assert.deepEqual(others.slice(0, 3), ['0 false', '1 false', '2 false']);
  });

  it('a connection ends when the certificate expires', async () => {
    const notAfter = Math.floor(Date.now() / 1_000) * 1_000 + 2_000;
    const server = await serverOf(ca.server(['localhost'], { notAfter }));
    const { served, logged, refusals } = dial(server.port);
    await server.next();
    await until(() => served[0]?.destroyed === true);
    assert.ok(Date.now() >= notAfter - 50);
    await until(() => refusals.length > 0);
    assert.match(refusals[0]?.text ?? '', /has expired/);
    assert.ok(logged.some((line) => line.includes('its certificate has expired')));
  });

  it('a closed listener dials no more, also in the middle of an attempt', async () => {
    const { port, requests } = await rawServer(() => undefined);
    const { listener, served } = dial(port);
    await until(() => requests.length === 1);
    await listener.close();
    await delay(200);
    assert.equal(requests.length, 1);
    assert.deepEqual(served, []);
  });
});

describe('operators whom a trusted server names', () => {
  const rule = `
[[api.rule]]
name = "operators-of-the-realm"
endpoints = ["GetGuestDetails"]
expression = 'listener != "realm" || (has(peer.claimed_operator) && peer.claimed_operator in ["alice", "bob"])'
`;
  let server: DialServer;
  let agent: AgentProcess;
  let guest: DialledIn;
  const as = (...operators: readonly string[]) => ({ metadata: { 'kata-agent-operator': operators } });
  const records = (): readonly Fields[] => agent.records().filter(({ listener }) => listener === 'realm');
  const found = async (matches: (record: Fields) => boolean): Promise<Fields> => {
    for (;;) {
      const record = records().find(matches);
      if (record !== undefined) return record;
      await delay(5);
    }
  };

  before(async () => {
    server = await DialServer.start(certificate);
    agent = await AgentProcess.start({ config: configOf(server.port, undefined, rule), sharesNetwork: true });
    guest = await server.next();
  });
  after(async () => {
    await agent.dispose();
    await server.close();
  });

  it('are seen by rules, and recorded as claimed', async () => {
    assert.deepEqual(server.relays, ['trusted']);
    assert.equal((await answerOf(guest.agent.getGuestDetails({}, as('alice')))).code, 'OK');
    assert.equal((await answerOf(guest.agent.getGuestDetails({}, as('bob')))).code, 'OK');
    const denied = await answerOf(guest.agent.getGuestDetails({}, as('mallory')));
    assert.equal(denied.code, 'PERMISSION_DENIED');
    assert.equal((await answerOf(guest.agent.getGuestDetails({}))).code, 'PERMISSION_DENIED');
    // Equal calls of two operators are two series.
    for (const operator of ['alice', 'bob']) {
      const record = await found(
        ({ method, kind, claimedOperator }) =>
          method === 'GetGuestDetails' && kind === 'call' && claimedOperator === operator,
      );
      assert.match(String(record['peer']), /^https localhost spki:/);
    }
    const refusal = await found(({ claimedOperator }) => claimedOperator === 'mallory');
    assert.equal(refusal['kind'], 'refusal');
    await guest.management.describe({}, as('alice'));
    await found(({ method, claimedOperator }) => method === 'Describe' && claimedOperator === 'alice');
  });

  for (const [what, operators] of [
    ['no text', ['']],
    ['too long a name', ['a'.repeat(257)]],
    ['a control character', ['alice\n']],
    ['two names', ['alice', 'bob']],
  ] as const)
    it(`${what} is INVALID_ARGUMENT before any rule, and recorded without the text`, async () => {
      const answer = await answerOf(guest.agent.getGuestDetails({}, as(...operators)));
      assert.equal(answer.code, 'INVALID_ARGUMENT');
      const refusal = await found(({ decision }) => JSON.stringify(decision).includes('KA3201'));
      assert.equal(refusal['claimedOperator'], undefined);
      assert.match(JSON.stringify(refusal['decision']), /kata-agent-operator must have one value/);
    });

  it('on another listener nobody is named so', async () => {
    const { agent: onHost } = await agent.connect();
    assert.equal((await answerOf(onHost.getGuestDetails({}, as('alice', 'bob')))).code, 'OK');
    const record = agent
      .records()
      .find(({ listener, method }) => listener === 'host' && method === 'GetGuestDetails');
    assert.equal(record?.['claimedOperator'], undefined);
  });

  it('a trusted server has no relay', async () => {
    const answer = await answerOf(guest.relay.openConnection({ token: new Uint8Array(32) }));
    assert.equal(answer.code, 'UNIMPLEMENTED');
    assert.ok(!server.requests.some((request) => request.includes('kata-agent-relay')));
  });
});
