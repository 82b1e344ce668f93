import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Health, HealthCheckResponse_ServingStatus } from '@kata-agent/protocol/health';
import { connect, createClient, createServer as createTtrpcServer, service } from '@kata-agent/ttrpc';
import { Oid, parsePeerEntry } from '@kata-agent/x509';
import type { ConnectionOptions } from 'node:tls';
import type { TlsRefusalReason } from '@kata-agent/agent/tls';
import { Authority } from '../harness/authority.js';
import { repository } from '../harness/repository.js';
import { attempt, openClient, startEngine, until } from '../harness/tls-engine.js';

const { slowChain } = (await import(`${repository}bench/dist/slow-chain.js`)) as {
  /** Of RSA keys of which each takes milliseconds to verify. */
  readonly slowChain: (bytes: number) => { readonly cert: string; readonly key: string };
};
const ca = new Authority();
const other = new Authority('other CA');
const ops = ['uri:spiffe://example/ops/*', 'cn:auditor'];
const past = Date.UTC(2021, 0);

// A connection that the engine forgets to close would be waited for without end.
const revoker = { key: 'host', isServer: false };

describe('the TLS engine', { timeout: 120_000 }, () => {
  it('serves a client of the CA that is in peers, and names it', async (t) => {
    const running = await startEngine(t, ca, { peers: ops });
    const uris = ['spiffe://example/ops/alice'];
    const outcome = await attempt(running.port, ca.client({ commonNames: [], uris }));
    assert.deepEqual(outcome, { secure: true, error: undefined, greeted: true });
    const [peer] = running.peers;
    assert.ok(peer !== undefined);
    const { fingerprint } = peer.certificate;
    assert.deepEqual(peer.identity, {
      kind: 'tls',
      subject: '',
      sans: [`uri:${uris[0]}`],
      fingerprint: `sha256:${fingerprint}`,
    });
    assert.equal(peer.remote, '127.0.0.1');
    await until(() => running.received() === 'request');
    assert.deepEqual(running.refusals, []);
    await until(() => running.engine.counts.peers === 0);
    assert.deepEqual(running.engine.counts, { handshakes: 0, waiting: 0, peers: 0 });
  });

  /** The last column: the alert that the client gets; undefined: a close without one. */
  const refused: readonly [
    name: string,
    client: () => ConnectionOptions,
    TlsRefusalReason,
    string | undefined,
  ][] = [
    ['without a certificate', () => ({}), 'no-certificate', 'certificate required'],
    [
      'that has only finite-field groups',
      () => ({ ...ca.client(), ecdhCurve: 'ffdhe2048' }),
      'handshake',
      'handshake failure',
    ],
    ['of another CA', () => other.client(), 'untrusted', undefined],
    ['of another CA with the name of ours', () => new Authority().client(), 'untrusted', undefined],
    ['expired', () => ca.client({ notAfter: past }), 'expired', undefined],
    ['not yet valid', () => ca.client({ notBefore: Date.now() + 3_600_000 }), 'not-yet-valid', undefined],
    ['of another name', () => ca.client({ commonNames: ['admin'] }), 'peers', undefined],
    ['of no usage', () => ca.client({ usages: null }), 'usage', undefined],
    ['for servers only', () => ca.client({ usages: [Oid.ServerAuth] }), 'usage', undefined],
    ['for any usage', () => ca.client({ usages: ['2.5.29.37.0'] }), 'usage', undefined],
    ['of two common names', () => ca.client({ commonNames: ['auditor', 'admin'] }), 'peers', undefined],
    [
      'of two URIs',
      () => ca.client({ uris: ['spiffe://example/ops/alice', 'spiffe://example/x'] }),
      'malformed',
      undefined,
    ],
    [
      'of a URI that climbs',
      () => ca.client({ uris: ['spiffe://example/ops/../admin'] }),
      'malformed',
      undefined,
    ],
    ['of a URI below the pattern', () => opsClient('alice/admin'), 'peers', undefined],
    [
      'with a NUL in its name',
      () => ca.client({ commonNames: ['auditor\0.example'] }),
      'malformed',
      undefined,
    ],
    [
      'with a key that is too short',
      () => ({ ...ca.client({ key: shortKey() }), ciphers: 'DEFAULT:@SECLEVEL=0' }),
      'untrusted',
      undefined,
    ],
    ['with TLS 1.2', () => ({ ...ca.client(), maxVersion: 'TLSv1.2' }), 'tls-version', 'protocol version'],
    ['without ALPN', () => ({ ...ca.client(), ALPNProtocols: [] }), 'alpn', undefined],
    [
      'with another ALPN',
      () => ({ ...ca.client(), ALPNProtocols: ['h2'] }),
      'alpn',
      'no application protocol',
    ],
  ];

  for (const [name, client, reason, error] of refused)
    it(`refuses a client ${name}, before a byte of its request`, async (t) => {
      const running = await startEngine(t, ca, { peers: ops });
      const outcome = await attempt(running.port, client());
      const [refusal] = await running.refused(1);
      assert.equal(refusal?.reason, reason, refusal?.text);
      assert.equal(refusal.remote, 'loopback');
      assert.deepEqual(running.peers, []);
      assert.equal(running.received(), '');
      assert.equal(outcome.greeted, false);
      // A reset may arrive before the alert, since the client's request is unread.
      if (outcome.error !== 'ECONNRESET' && outcome.error !== 'EPIPE') assert.equal(outcome.error, error);
      await sleep(20);
      assert.equal(running.refusals.length, 1, 'one refusal for a connection');
      assert.deepEqual(running.engine.counts, { handshakes: 0, waiting: 0, peers: 0 });
    });

  it('names a client of the CA in the refusal, and nobody else', async (t) => {
    const running = await startEngine(t, ca, { peers: ops });
    await attempt(running.port, ca.client({ commonNames: ['admin'] }));
    await attempt(running.port, other.client());
    const [first, second] = await running.refused(2);
    assert.equal(first?.peer?.subject, 'CN=admin');
    assert.match(first.peer.fingerprint, /^sha256:[0-9a-f]{64}$/);
    assert.equal(second?.peer, undefined);
  });

  it('a client takes secureConnect for success too early', async (t) => {
    const running = await startEngine(t, ca, { peers: ops });
    assert.equal((await attempt(running.port, {})).secure, true);
    assert.equal((await attempt(running.port, other.client())).secure, true);
  });

  it('refuses plain text, and closes it', async (t) => {
    const running = await startEngine(t, ca);
    for (const text of ['GET / HTTP/1.1\r\n\r\n', '\0\0\0\x10\0\0\0\x01\x01\0 ttrpc', '\x16\x03\x01']) {
      const socket = connectTcp(running.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.end(text, 'latin1');
      await new Promise((resolve) => socket.resume().once('close', resolve));
    }
    const refusals = await running.refused(3);
    assert.deepEqual(
      refusals.map(({ reason }) => reason),
      ['plain-text', 'plain-text', 'closed'],
    );
    assert.deepEqual(running.engine.counts, { handshakes: 0, waiting: 0, peers: 0 });
  });

  it('resumes no session: with a session and a certificate the handshake is a full one', async (t) => {
    const running = await startEngine(t, ca, { peers: ops });
    const sessions = await sessionsOf(running.port, ca.client());
    assert.ok(sessions.length > 0, 'the server sends tickets although they are off');
    for (const session of sessions) {
      const socket = openClient(running.port, { ...ca.client(), session });
      await new Promise((resolve) => socket.once('data', resolve));
      assert.equal(socket.isSessionReused(), false);
      socket.destroy();
    }
    assert.equal(running.peers.length, 1 + sessions.length);
    // With tickets this client would be the one of the session.
    for (const session of sessions) assert.equal((await attempt(running.port, { session })).greeted, false);
    const refusals = await running.refused(sessions.length);
    for (const { reason } of refusals) assert.equal(reason, 'no-certificate');
  });

  it('two CAs are valid during a rotation', async (t) => {
    const running = await startEngine(t, ca, { clientCa: [`${ca.pem}\n${other.pem}`] });
    assert.equal((await attempt(running.port, ca.client())).greeted, true);
    assert.equal((await attempt(running.port, other.client())).greeted, true);
  });

  it('a peer must match the peers of every document that has them', async (t) => {
    const lists = [['cn:auditor', 'cn:admin'], ['cn:admin']];
    const running = await startEngine(t, ca, { peerLists: lists });
    assert.equal((await attempt(running.port, ca.client({ commonNames: ['admin'] }))).greeted, true);
    assert.equal((await attempt(running.port, ca.client())).greeted, false);
    const none = await startEngine(t, ca, { peerLists: [] });
    assert.equal((await attempt(none.port, ca.client())).greeted, false);
    assert.equal((await none.refused(1))[0]?.reason, 'peers');
  });

  it('closes a connection when its certificate expires', async (t) => {
    const running = await startEngine(t, ca);
    const notAfter = (Math.floor(Date.now() / 1000) + 2) * 1000;
    const socket = openClient(running.port, ca.client({ notAfter }));
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.resume().once('close', resolve));
    assert.ok(
      Date.now() >= notAfter - 50 && Date.now() < notAfter + 2000,
      `${Date.now() - notAfter} ms after`,
    );
    assert.deepEqual(running.ended, ['CN=auditor expired']);
  });

  it('the wall clock decides at connect alone', async (t) => {
    let wall = Date.now();
    const running = await startEngine(t, ca, { now: () => wall });
    const socket = openClient(running.port, ca.client());
    await new Promise((resolve) => socket.once('data', resolve));
    for (const [time, reason] of [
      [0, 'not-yet-valid'],
      [Date.UTC(2090, 0), 'expired'],
    ] as const) {
      wall = time;
      assert.equal((await attempt(running.port, ca.client())).greeted, false);
      assert.equal(running.refusals.at(-1)?.reason, reason);
    }
    assert.equal(socket.destroyed, false);
    socket.destroy();
  });

  it('a revocation closes open connections that match, and refuses later ones', async (t) => {
    const running = await startEngine(t, ca);
    const [alice, bob, carol] = [opsClient('alice'), opsClient('bob'), opsClient('carol')];
    const sockets = await Promise.all([alice, bob, carol].map((each) => greeted(running.port, each)));
    const closed = (index: number): boolean => sockets[index]?.destroyed === true;
    running.revocations.add(
      { kind: 'entry', entry: parsePeerEntry('uri:spiffe://example/ops/alice') },
      revoker,
    );
    await until(() => closed(0));
    running.revocations.add({ kind: 'serial', serial: `00${bob.serial()}`, issuer: 'CN=test CA' }, revoker);
    await until(() => closed(1));
    assert.equal(closed(2), false);
    running.revocations.add({ kind: 'serial', serial: carol.serial(), issuer: 'CN=other CA' }, revoker);
    assert.equal((await attempt(running.port, bob)).greeted, false);
    const [refusal] = await running.refused(1);
    assert.equal(refusal?.reason, 'revoked');
    assert.equal((await attempt(running.port, carol)).greeted, true);
    running.revocations.add({ kind: 'entry', entry: parsePeerEntry(`spki:sha256:${carol.spki()}`) }, revoker);
    await until(() => closed(2));
    assert.equal(running.ended.length, 3);
  });

  it('half-open connections are bounded, and a client that arrives meanwhile is served', async (t) => {
    const running = await startEngine(t, ca, {
      limits: { handshakes: 4, handshakesPerSecond: 100, handshakeTimeoutMs: 30_000 },
    });
    const before = await greeted(running.port, ca.client());
    const silent = await Promise.all(Array.from({ length: 1000 }, () => connected(running.port)));
    await until(() => running.refusals.length >= 1000 - 4 - 64);
    const { handshakes, waiting } = running.engine.counts;
    assert.ok(handshakes <= 4 && waiting <= 64, `${handshakes} handshakes, ${waiting} waiting`);
    // On a slow machine the four that are in a handshake lose their places after two seconds.
    const others = running.refusals.filter(({ reason }) => reason !== 'overload');
    assert.ok(
      others.length < 100 && others.every(({ reason }) => reason === 'timeout'),
      JSON.stringify(others),
    );
    assert.equal((await attempt(running.port, ca.client())).greeted, true);
    assert.equal(before.destroyed, false);
    for (const socket of [before, ...silent]) socket.destroy();
    await until(() => running.engine.counts.handshakes + running.engine.counts.waiting === 0, 20_000);
  });

  it('a client that says nothing is closed after the timeout', async (t) => {
    const limits = { handshakes: 4, handshakesPerSecond: 100, handshakeTimeoutMs: 200 };
    const running = await startEngine(t, ca, { limits });
    const socket = await connected(running.port);
    await new Promise((resolve) => socket.once('close', resolve));
    assert.equal((await running.refused(1))[0]?.reason, 'timeout');
    assert.deepEqual(running.engine.counts, { handshakes: 0, waiting: 0, peers: 0 });
  });

  it('handshakes per second are bounded: the others wait', async (t) => {
    const limits = { handshakes: 8, handshakesPerSecond: 5, handshakeTimeoutMs: 10_000 };
    const running = await startEngine(t, ca, { limits });
    const client = ca.client();
    const start = performance.now();
    const outcomes = await Promise.all(Array.from({ length: 15 }, () => attempt(running.port, client)));
    for (const { greeted } of outcomes) assert.equal(greeted, true);
    assert.ok(performance.now() - start > 1800, `15 handshakes in ${performance.now() - start} ms`);
  });

  it('carries ttRPC', async (t) => {
    const server = createTtrpcServer<null>({
      services: [
        service<typeof Health, null>(Health, {
          check: async () => ({ status: HealthCheckResponse_ServingStatus.SERVING }),
          version: async () => ({ grpcVersion: '0.0.1', agentVersion: '9.9' }),
        }),
      ],
    });
    t.after(() => server.close());
    const running = await startEngine(t, ca, { onPeer: (stream) => server.serve(stream, null) });
    const channel = connect(openClient(running.port, ca.client()));
    const { status } = await createClient(Health, channel).check({});
    assert.equal(status, HealthCheckResponse_ServingStatus.SERVING);
    channel.close();
  });

  it('a client that ends its requests still gets the reply', async (t) => {
    const running = await startEngine(t, ca, {
      onPeer: (stream) => {
        stream.resume();
        stream.on('end', () => setTimeout(() => stream.end('reply'), 20));
      },
    });
    const socket = openClient(running.port, { ...ca.client(), allowHalfOpen: true } as ConnectionOptions);
    socket.end('request');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => socket.once('close', resolve));
    assert.equal(Buffer.concat(chunks).toString(), 'reply');
  });

  it('a chain of certificates that is too long is not verified, and costs nothing', async (t) => {
    // No cost of its own turns a client away: on a slow machine the first bytes may take long enough, without a certificate verified.
    const running = await startEngine(t, ca, { costlyMs: 60_000 });
    const large = slowChain(99_000);
    for (let count = 0; count < 5; count += 1)
      assert.equal((await attempt(running.port, large)).greeted, false);
    // Verified, they would be untrusted.
    for (const { reason } of await running.refused(5)) assert.equal(reason, 'oversized');
    assert.equal((await attempt(running.port, ca.client())).greeted, true, 'nobody is turned away');
  });

  it('one that took too long to verify turns its addresses away', async (t) => {
    const running = await startEngine(t, ca, { costlyMs: 0 });
    assert.equal((await attempt(running.port, ca.client())).greeted, true, 'not of an authenticated client');
    const second = await startEngine(t, ca, { costlyMs: 0 });
    await attempt(second.port, slowChain(5_000));
    await attempt(second.port, ca.client());
    const reasons = (await second.refused(2)).map(({ reason }) => reason);
    assert.deepEqual(reasons, ['untrusted', 'penalty']);
  });

  for (const bytes of [20_000, 99_000])
    it(`a chain of ${bytes} bytes is not verified either where a client of the address was authenticated`, async (t) => {
      const running = await startEngine(t, ca);
      assert.equal((await attempt(running.port, ca.client())).greeted, true);
      await attempt(running.port, slowChain(bytes));
      // Otherwise it would be untrusted, after up to half a second of the event loop.
      assert.equal((await running.refused(1))[0]?.reason, 'oversized');
      assert.equal((await attempt(running.port, ca.client())).greeted, true, 'nobody is turned away');
    });

  for (const known of [false, true])
    it(`a client ${known ? 'that is known ' : ''}may send a large request with its handshake, and gets a large reply`, async (t) => {
      const size = 3_000_000;
      let received = 0;
      const running = await startEngine(t, ca, {
        onPeer: (stream) =>
          stream.on('data', ({ length }: Buffer) => {
            received += length;
            if (received === size) stream.end(Buffer.alloc(size, 1));
          }),
      });
      const rounds = known ? 2 : 1;
      for (let round = 0; round < rounds; round += 1) {
        received = 0;
        const socket = openClient(running.port, ca.client());
        socket.write(Buffer.alloc(size));
        let reply = 0;
        socket.on('data', ({ length }: Buffer) => (reply += length));
        await new Promise((resolve) => socket.once('close', resolve));
        assert.deepEqual([received, reply], [size, size]);
      }
      assert.deepEqual(running.refusals, []);
    });

  it('a client that leaves during its handshake frees its place at once', async (t) => {
    const limits = { handshakes: 1, handshakesPerSecond: 1000, handshakeTimeoutMs: 60_000 };
    const running = await startEngine(t, ca, { limits });
    const gone = await connected(running.port);
    await until(() => running.engine.counts.handshakes === 1);
    gone.end();
    assert.equal((await attempt(running.port, ca.client())).greeted, true);
    // Not 'timeout': its place was not taken from it.
    assert.equal(running.refusals[0]?.reason, 'closed');
  });

  it('closed, it accepts nothing and ends what is not authenticated', async (t) => {
    const running = await startEngine(t, ca);
    const authenticated = await greeted(running.port, ca.client());
    const silent = await connected(running.port);
    await until(() => running.engine.counts.handshakes === 1);
    running.engine.close();
    await new Promise((resolve) => silent.once('close', resolve));
    assert.equal((await attempt(running.port, ca.client())).greeted, false);
    assert.equal(authenticated.destroyed, false);
    authenticated.destroy();
  });
});

function opsClient(path: string): ReturnType<Authority['client']> {
  return ca.client({ commonNames: [], uris: [`spiffe://example/ops/${path}`] });
}

function shortKey(): ReturnType<typeof generateKeyPairSync> {
  return generateKeyPairSync('rsa', { modulusLength: 1024 });
}

function connected(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, '127.0.0.1', () => resolve(socket));
    socket.once('error', reject);
    socket.on('error', () => undefined);
    socket.resume();
  });
}

async function greeted(port: number, options: ConnectionOptions): Promise<ReturnType<typeof openClient>> {
  const socket = openClient(port, options);
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('data', resolve));
  return socket;
}

/** The sessions that a server offers to a client. */
async function sessionsOf(port: number, options: ConnectionOptions): Promise<readonly Buffer[]> {
  const sessions: Buffer[] = [];
  const socket = openClient(port, options);
  socket.on('session', (session) => sessions.push(session));
  await new Promise((resolve) => socket.once('data', resolve));
  await sleep(50);
  socket.destroy();
  return sessions;
}
