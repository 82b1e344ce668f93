import { readFile } from 'node:fs/promises';
import { connect, credsAuthenticator, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';
import type { BusOptions } from '../bus-options.js';
import { BusError } from '../bus-error.js';
import { serverIdentity } from './server-identity.js';
import { inboxPrefix as realmInbox } from './subjects.js';

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
