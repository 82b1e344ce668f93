import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { DialOut, makeOwnIdentity, Revocations } from '@kata-agent/agent/tls';
import { limitUnacknowledged, loadSyscalls } from '@kata-agent/linux';
import { startRealm } from '@kata-agent/realm';
import { Authority } from '../harness/authority.js';
import { DialServer } from '../harness/dial-server.js';
import { speakTls } from '../harness/operator.js';
import { RealmHome } from '../harness/realm-process.js';

/** More than the kernel keeps for a connection. */
const many = Buffer.alloc(64 * 1024 * 1024);
const limitMs = 1_000;
/** The limit of the program; the kernel gets a shorter one. */
const defaultMs = 45_000;
const asked: number[] = [];
const limit = (stream: object, milliseconds: number): void => {
  asked.push(milliseconds);
  limitUnacknowledged(loadSyscalls(), stream, limitMs);
};

/** Writes, and resolves when the connection has ended. */
async function endOf(stream: TLSSocket): Promise<void> {
  stream.on('error', () => undefined).write(many);
  await new Promise<void>((resolve) => stream.once('close', () => resolve()));
}

/** A promise, and what settles it. */
function outcome(): {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
} {
  let resolve: () => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<void>((...settle) => ([resolve, reject] = settle));
  return { promise, resolve: () => resolve(), reject: (error) => reject(error) };
}

describe('the other end takes nothing of what it is sent', () => {
  const operators = new Authority('operators CA');
  const alice = operators.client({ commonNames: ['alice'] });

  it('an operator whose connection the guest relays', { timeout: 20_000 }, async (t) => {
    const ca = new Authority('realm CA');
    const server = await DialServer.start(ca.server(['localhost']));
    const token = randomBytes(32);
    const arrived = server.expect(token);
    const ended = outcome();
    const listener = new DialOut({
      name: 'realm',
      address: `https://localhost:${server.port}/guests`,
      peers: [['cn:alice']],
      limits: { connections: 4 },
      dial: {
        serverCa: ca.pem,
        pins: [],
        relay: {
          kind: 'operator-tls',
          callers: {
            clientCa: operators.pem,
            limits: { handshakes: 4, handshakesPerSecond: 100, handshakeTimeoutMs: 5_000 },
          },
        },
        handshakeTimeoutMs: 5_000,
      },
      own: await makeOwnIdentity({ clockFloor: Date.UTC(2026, 0) }),
      revocations: new Revocations(),
      records: { begin: async () => () => undefined },
      audit: { refuse: (_call, { reason }) => ended.reject(new Error(reason)) },
      log: () => undefined,
      limitUnacknowledged: limit,
      serve: (stream, { realm }) => {
        if (realm?.relay === 'operator-tls')
          void realm.openConnection(token, new Uint8Array(), AbortSignal.timeout(5_000));
        else void endOf(stream).then(ended.resolve);
      },
    });
    t.after(async () => {
      await listener.close();
      await server.close();
    });
    listener.start();
    // Nothing reads it.
    await speakTls(await arrived, alice);
    await ended.promise;
    assert.equal(asked.at(-1), defaultMs);
  });

  it('an operator of a realm', { timeout: 20_000 }, async (t) => {
    const home = new RealmHome(
      '[[operator]]\npeers = ["cn:alice"]\nguests = ["*"]\nverbs = ["list", "connect"]\n',
    );
    const any = { host: '127.0.0.1', port: 0 };
    const ended = outcome();
    const realm = await startRealm({
      guests: any,
      operators: any,
      metrics: undefined,
      files: home.files,
      allowUnattested: true,
      store: home.store,
      maxLogPerGuest: 1 << 28,
      storeMax: 2 ** 40,
      drainMs: 100,
      version: '9.9',
      log: () => undefined,
      tryLock: (fd) => loadSyscalls().tryLock(fd),
      limitUnacknowledged: limit,
      operatorHandler: () => ({
        request: async () => undefined,
        upgrade: async (_request, socket) => void endOf(socket as TLSSocket).then(ended.resolve),
        remote: { serve: () => undefined, revoke: async () => ({ closed: 0 }), joined: () => undefined },
        recheck: () => undefined,
        named: () => undefined,
        close: () => undefined,
        counts: { operatorTls: 0, trusted: 0, readers: 0, bytes: { toGuest: 0, toOperator: 0 } },
      }),
    });
    const { cert, key } = home.operators.client({ commonNames: ['alice'] });
    const operator = connectTls({
      port: realm.ports.operators,
      host: 'localhost',
      ca: home.ca.pem,
      cert,
      key,
    });
    t.after(async () => {
      operator.destroy();
      await realm.close();
      home.remove();
    });
    await once(operator, 'secureConnect');
    operator.write('GET /guests/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    await ended.promise;
    assert.equal(asked.at(-1), defaultMs);
  });
});
