import { createServer } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import {
  createTlsEngine,
  makeOwnIdentity,
  type OwnIdentity,
  Revocations,
  type TlsEngine,
  type TlsEngineOptions,
  type TlsPeer,
  type TlsRefusal,
} from '@kata-agent/agent/tls';
import { parsePeerEntries } from '@kata-agent/x509';
import type { Authority } from './authority.js';

/** The protocol of a `tls://` listener, written out: it is part of the interface. */
const alpnProtocol = 'kata-agent-ttrpc';

export interface RunningEngine {
  readonly port: number;
  readonly engine: TlsEngine;
  readonly own: OwnIdentity;
  readonly revocations: Revocations;
  /** In order. */
  readonly peers: readonly TlsPeer[];
  readonly refusals: readonly TlsRefusal[];
  readonly ended: readonly string[];
  /** All bytes that were handed to the server. */
  received(): string;
  /** Resolves with the refusals once there are so many. */
  refused(count: number): Promise<readonly TlsRefusal[]>;
}

type Change = Partial<Omit<TlsEngineOptions, 'peers'>> & {
  readonly peers?: readonly string[];
  /** Instead of `peers`. */
  readonly peerLists?: readonly (readonly string[])[];
};

export async function startEngine(
  t: TestContext,
  ca: Authority,
  change: Change = {},
): Promise<RunningEngine> {
  const own = await makeOwnIdentity({ clockFloor: Date.UTC(2026, 10, 26) });
  const revocations = new Revocations();
  const peers: TlsPeer[] = [];
  const refusals: TlsRefusal[] = [];
  const ended: string[] = [];
  const streams = new Set<TLSSocket>();
  let received = '';
  const { peers: entries = ['*'], peerLists = [entries], ...rest } = change;
  const engine = createTlsEngine({
    clientCa: [ca.pem],
    own,
    peers: peerLists.map(parsePeerEntries),
    revocations,
    limits: { handshakes: 8, handshakesPerSecond: 1000, handshakeTimeoutMs: 10_000 },
    now: Date.now,
    onPeer: (stream, peer) => {
      peers.push(peer);
      streams.add(stream);
      stream.on('data', (chunk: Buffer) => {
        received += chunk.toString('latin1');
      });
      stream.write('welcome');
      stream.on('end', () => stream.end());
    },
    onRefusal: (refusal) => refusals.push(refusal),
    onEnd: (peer, why) => ended.push(`${peer.identity.subject} ${why}`),
    ...rest,
  });
  const server = createServer({ pauseOnConnect: true }, (socket) => engine.accept(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    engine.close();
    for (const stream of streams) stream.destroy();
  });
  return {
    port: (server.address() as { port: number }).port,
    engine,
    own,
    revocations,
    peers,
    refusals,
    ended,
    received: () => received,
    refused: async (count) => {
      await until(() => refusals.length >= count);
      return refusals;
    },
  };
}

export async function until(condition: () => boolean, milliseconds = 10_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > end) throw new Error('the condition did not become true');
    await sleep(5);
  }
}

/** What a client sees of a connection that it keeps until the server closes it, or greets it. */
export interface Outcome {
  readonly secure: boolean;
  /** The alert of the server, or the code of another error. */
  readonly error: string | undefined;
  readonly greeted: boolean;
}

/** Connects, and sends a request as early as possible. */
export async function attempt(port: number, options: ConnectionOptions): Promise<Outcome> {
  const socket = openClient(port, options);
  let secure = false;
  let error: string | undefined;
  let greeted = false;
  socket.on('secureConnect', () => {
    secure = true;
  });
  socket.on('error', (reason: NodeJS.ErrnoException) => {
    error ??= /alert ([a-z ]+)/.exec(reason.message)?.[1] ?? reason.code;
  });
  socket.on('data', () => {
    greeted = true;
    socket.end();
  });
  socket.write('request');
  await new Promise((resolve) => socket.once('close', resolve));
  return { secure, error, greeted };
}

/** A client that takes any server: these tests are about the server. */
export function openClient(port: number, options: ConnectionOptions): TLSSocket {
  const given = { host: '127.0.0.1', port, ALPNProtocols: [alpnProtocol], ...options };
  return connect({ ...given, rejectUnauthorized: false });
}
