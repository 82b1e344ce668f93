import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { connect, credsAuthenticator, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';
import { BusError, type BusOptions } from '../bus-options.js';
import { inboxPrefix as realmInbox } from './subjects.js';

/** Node.js compares a certificate with this name if it is given none. */
const nameOfNone = 'localhost';

/** The options that errors name, and the prefix of the subjects of answers. */
export interface NatsUse {
  readonly option: '--bus' | '--to';
  readonly inboxPrefix: string;
}

const bus: NatsUse = { option: '--bus', inboxPrefix: realmInbox };

/** Connects, and connects again whenever the connection is lost. Throws a BusError. */
export async function connectNats(
  options: BusOptions,
  name: string,
  { option, inboxPrefix }: NatsUse = bus,
): Promise<NatsConnection> {
  const { servers, tls, ca, cert, key, creds, nkey } = options;
  const authenticator = [
    ...(creds === undefined ? [] : [credsAuthenticator(await read(`${option}-creds`, creds))]),
    ...(nkey === undefined ? [] : [nkeyAuthenticator(seed(option, await read(`${option}-nkey`, nkey)))]),
  ];
  const files = {
    ...(ca === undefined ? {} : { ca: String(await read(`${option}-ca`, ca)) }),
    ...(cert === undefined ? {} : { cert: String(await read(`${option}-cert`, cert)) }),
    ...(key === undefined ? {} : { key: String(await read(`${option}-key`, key)) }),
  };
  const checkServerIdentity = serverIdentity(servers.map(({ host }) => host));
  const secure = { handshakeFirst: false, minVersion: 'TLSv1.3', checkServerIdentity, ...files };
  const list = servers.map(({ host, port }) =>
    host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
  );
  try {
    return await connect({
      servers: list,
      name,
      inboxPrefix,
      // A server that offers no TLS is refused then.
      // The client passes all members to TLS.
      ...(tls ? { tls: secure } : {}),
      // Servers that NATS names itself may have no loopback address, and what they are called is not checked.
      ignoreClusterUpdates: true,
      ...(authenticator.length === 0 ? {} : { authenticator }),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 500,
      reconnectJitter: 250,
      reconnectJitterTLS: 500,
      pingInterval: 4_000,
      maxPingOut: 2,
      timeout: 5_000,
      // A password that is changed may be changed back.
      ignoreAuthErrorAbort: true,
    });
  } catch (error) {
    throw new BusError(`${option} ${list.join(',')}: ${(error as Error).message}`, [
      'start nats-server with JetStream, and check the address and the credentials',
    ]);
  }
}

async function read(option: string, path: string): Promise<Buffer> {
  return await readFile(path).catch((error: Error) => {
    throw new BusError(`${option}: cannot read ${path}: ${error.message}`, []);
  });
}

/** The first line that is an nkey seed: `nk` writes comments beside it. */
function seed(option: string, bytes: Buffer): Uint8Array {
  const line = bytes
    .toString('latin1')
    .split('\n')
    .map((each) => each.trim())
    .find((each) => /^SU[A-Z2-7]{20,}$/.test(each));
  if (line === undefined)
    throw new BusError(`${option}-nkey has no seed of a user, which begins with SU`, []);
  return Buffer.from(line);
}

/**
 * Returns how the certificate of a server of NATS is compared with what `--bus` names. The client gives TLS no name for an IP
 * address, so that any certificate of `localhost` would be accepted for it, and none of the address. Which of several addresses
 * was dialled is not known there: a certificate of one of them is accepted.
 */
export function serverIdentity(
  hosts: readonly string[],
): (name: string, certificate: PeerCertificate) => Error | undefined {
  return (name, certificate) => {
    const addresses = hosts.filter((host) => isIP(host) !== 0);
    const expected =
      name === nameOfNone
        ? [...addresses, ...(hosts.includes(nameOfNone) ? [nameOfNone] : [])]
        : [name].filter((each) => hosts.includes(each));
    const errors = expected.map((each) => checkServerIdentity(each, certificate));
    if (errors.includes(undefined)) return undefined;
    return errors[0] ?? new Error(`--bus does not name ${name}`);
  };
}

/** Whether NATS is connected, and work that depends on it. The client itself connects again. */
export class ConnectionState {
  readonly #onChange: (isConnected: boolean) => void;
  readonly #onDisconnect = new Set<() => void>();
  #waiting: { readonly done: () => void; readonly fail: (error: Error) => void }[] = [];
  #isConnected = true;
  #reconnects = 0;
  #stopped = false;

  constructor(nc: Pick<NatsConnection, 'status'>, onChange: (isConnected: boolean) => void) {
    this.#onChange = onChange;
    void this.#follow(nc);
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** How often the connection was made again. */
  get reconnects(): number {
    return this.#reconnects;
  }

  /** Resolves when NATS is connected. Rejects when the realm ends. */
  connected(): Promise<void> {
    if (this.#stopped) return Promise.reject(new Error('the realm ends'));
    if (this.#isConnected) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ done: resolve, fail: reject }));
  }

  /** Rejects when NATS is not connected, or is disconnected before the work has ended. */
  async whileConnected<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#isConnected) throw new Error('the bus is not connected');
    let leave: () => void = () => undefined;
    const lost = new Promise<never>((_resolve, reject) => {
      leave = () => reject(new Error('the bus was disconnected'));
    });
    this.#onDisconnect.add(leave);
    try {
      return await Promise.race([work(), lost]);
    } finally {
      this.#onDisconnect.delete(leave);
    }
  }

  /** Ends what waits. */
  stop(): void {
    this.#stopped = true;
    for (const { fail } of this.#waiting.splice(0)) fail(new Error('the realm ends'));
  }

  async #follow(nc: Pick<NatsConnection, 'status'>): Promise<void> {
    for await (const { type } of nc.status()) {
      if (type !== 'disconnect' && type !== 'reconnect') continue;
      this.#isConnected = type === 'reconnect';
      if (this.#isConnected) this.#reconnects += 1;
      if (this.#isConnected) for (const { done } of this.#waiting.splice(0)) done();
      else for (const leave of this.#onDisconnect) leave();
      this.#onChange(this.#isConnected);
    }
  }
}
