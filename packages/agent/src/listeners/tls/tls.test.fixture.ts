import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import {
  type CertificateContent,
  certificatePem,
  encodeName,
  type Extension,
  extendedKeyUsage,
  keyUsage,
  makeCertificate,
  Oid,
  parseCertificate,
  parsePeerEntries,
  subjectAltName,
} from '@kata-agent/x509';
import { alpnProtocol } from './authenticate.js';
import { makeOwnIdentity, type OwnIdentity } from './own-identity.js';
import { Revocations } from './revocations.js';
import { createTlsEngine, type TlsEngine, type TlsEngineOptions, type TlsPeer } from './tls-engine.js';
import type { TlsRefusal } from './tls-refusal.js';

const dayMs = 86_400_000;
const caConstraints: Extension = {
  oid: Oid.BasicConstraints,
  critical: true,
  value: Buffer.from('30030101ff', 'hex'),
};
const signsCertificatesAndLists = keyUsage(0x06, 1);

/** What differs from a valid client certificate. */
export interface ClientChange extends Partial<Omit<CertificateContent, 'subject' | 'extensions'>> {
  readonly commonNames?: readonly string[];
  readonly uris?: readonly string[];
  /** null: without the extension. */
  readonly usages?: readonly string[] | null;
  readonly key?: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
}

export interface ClientCertificate {
  readonly key: string;
  readonly cert: string;
  readonly serial: () => string;
  readonly spki: () => string;
}

const newKey = (): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** A CA that signs clients. */
export class Authority {
  readonly pem: string;
  readonly #key = newKey();
  readonly #name: Uint8Array;

  constructor(name = 'test CA') {
    this.#name = encodeName([[{ type: 'CN', text: name }]]);
    const content = {
      issuer: this.#name,
      subject: this.#name,
      notBefore: Date.UTC(2020, 0),
      notAfter: Date.now() + 1000 * dayMs,
      publicKey: this.#key.publicKey,
      extensions: [caConstraints, signsCertificatesAndLists],
    };
    this.pem = certificatePem(makeCertificate(content, this.#key.privateKey));
  }

  client(change: ClientChange = {}): ClientCertificate {
    const {
      commonNames = ['auditor'],
      uris = [],
      usages = [Oid.ClientAuth],
      key = newKey(),
      ...rest
    } = change;
    const bytes = makeCertificate(
      {
        issuer: this.#name,
        subject: encodeName(commonNames.map((text) => [{ type: 'CN', text }])),
        notBefore: Date.UTC(2020, 0),
        notAfter: Date.now() + dayMs,
        publicKey: key.publicKey,
        extensions: [
          ...(usages === null ? [] : [extendedKeyUsage(usages)]),
          ...(uris.length === 0 ? [] : [subjectAltName(uris.map((value) => ({ kind: 'uri', value })))]),
        ],
        ...rest,
      },
      this.#key.privateKey,
    );
    return {
      key: pemOf(key.privateKey),
      cert: certificatePem(bytes),
      // Not all are valid.
      serial: () => parseCertificate(bytes).serial,
      spki: () => parseCertificate(bytes).spki,
    };
  }

  /** A certificate revocation list with these serial numbers, valid for `days`. */
  revocationList(serials: readonly string[], validity: readonly string[] = ['-crldays', '30']): string {
    const directory = mkdtempSync(join(tmpdir(), 'kata-crl-'));
    try {
      const at = (name: string): string => join(directory, name);
      const even = (hex: string): string => (hex.length % 2 === 0 ? hex : `0${hex}`).toUpperCase();
      const rows = serials.map(
        (serial) => `R\t401231235959Z\t260101000000Z\t${even(serial)}\tunknown\t/CN=x\n`,
      );
      writeFileSync(at('index.txt'), rows.join(''));
      writeFileSync(at('ca.key'), pemOf(this.#key.privateKey));
      writeFileSync(at('ca.pem'), this.pem);
      writeFileSync(
        at('config'),
        `[ca]\ndefault_ca = own\n[own]\ndatabase = ${at('index.txt')}\ndefault_md = sha256\n`,
      );
      const files = [
        '-config',
        at('config'),
        '-keyfile',
        at('ca.key'),
        '-cert',
        at('ca.pem'),
        '-out',
        at('crl'),
      ];
      const { status, stderr } = spawnSync('openssl', ['ca', '-gencrl', ...validity, ...files], {
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`openssl: ${stderr}`);
      return readFileSync(at('crl'), 'utf8');
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
}

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
