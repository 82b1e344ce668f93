import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';

import { type Authority, createAuthority, type Credentials } from './certificates.js';
import { type Connection, over } from './connections.js';
import { createRealmFiles, realmHost, RealmProgram, until } from './realm-program.js';

/** A way to an agent: a listener of it, and what is needed at the other end. */
export interface Link {
  readonly name: string;
  /** The `[[listener]]` entry. */
  readonly listener: string;
  /** Resolves with a connection once the agent serves it. */
  connect(): Promise<Connection>;
  /** Time on a processor of what is between the client and the agent, since its start. */
  processorSeconds(): number;
  close(): Promise<void>;
}

/** Creates one of the links in a new directory. */
export type MakeLink = (directory: string) => Promise<Link>;

/** An address of loopback that no other program uses. */
export const tlsHost = '127.83.19.7';
export const tlsPort = 8443;

const management = 'management = ["Describe", "WatchAudit"]\n';

const entry = (name: string, address: string, tls: string): string =>
  `[[listener]]\nname = "${name}"\naddress = "${address}"\ntls = { ${tls} }\n`;

const pem = (key: string, text: string): string => `${key} = ${JSON.stringify(text)}`;

/** The `[[listener]]` entry of a `tls://` listener, with more than the default limits if `limits` has some, and who calls there. */
export function tlsListener(limits = 'limits = { handshakes_per_second = 1000 }\n'): {
  readonly listener: string;
  readonly client: Credentials;
} {
  const authority = createAuthority();
  const address = `tls://${tlsHost}:${tlsPort}`;
  return {
    listener: entry('tenant', address, pem('client_ca', authority.pem)) + `peers = ["*"]\n${limits}`,
    client: authority.client('bench'),
  };
}

/** Connects to the listener of `tlsListener`. */
export async function overTls({ cert, key }: Credentials): Promise<Connection> {
  return over(await guestTls({ host: tlsHost, port: tlsPort }, { cert, key }));
}

/** The listener of `tls://`. */
const tls: MakeLink = async () => {
  const { listener, client } = tlsListener();
  return {
    name: 'tls://',
    listener,
    connect: () => overTls(client),
    processorSeconds: () => 0,
    close: async () => undefined,
  };
};

/** An agent that has dialled this process, with a trusted relay. */
const dialOut: MakeLink = async () => {
  const authority = createAuthority();
  const server = createServer({
    ...authority.server(realmHost),
    minVersion: 'TLSv1.3',
    requestCert: true,
    // The benchmark's own agent.
    rejectUnauthorized: false,
  });
  const dialled = new Promise<Connection>((resolve) => {
    server.on('upgrade', (_request, stream: Duplex, head: Buffer) => {
      stream.on('error', () => undefined);
      (stream as TLSSocket).setNoDelay(true);
      if (head.length > 0) stream.unshift(head);
      stream.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: kata-agent-ttrpc/1\r\nConnection: Upgrade\r\n\r\n',
      );
      const connection = over(stream);
      // There is one connection, for all rounds.
      resolve({ ...connection, close: () => undefined });
    });
  });
  server.listen(0, realmHost);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    name: 'dial-out',
    listener: `${entry('realm', `https://${realmHost}:${port}/guests`, pem('server_ca', authority.pem))}relay = "trusted"\n${management}`,
    connect: () => dialled,
    processorSeconds: () => 0,
    close: () => closed(server),
  };
};

const authorization = `[[guest]]
name = "web"
configurations = ["*"]

[[operator]]
peers = ["*"]
guests = ["*"]
verbs = ["list", "connect"]
methods = ["GetGuestDetails", "ReadStdout"]
`;

/** An operator, a realm of the bundle in a process of its own, and the agent that has dialled it. */
const throughRealm =
  (relay: 'trusted' | 'operator-tls'): MakeLink =>
  async (directory) => {
    const files = createRealmFiles(join(directory, 'realm'), authorization);
    const realm = await RealmProgram.start(files, 0);
    const { authority } = files;
    const operator = authority.client('bench');
    const { guests: port } = realm.ports;
    const address = `https://${realmHost}:${port}/guests`;
    const trusts = pem('server_ca', authority.pem);
    const listener =
      relay === 'trusted'
        ? `${entry('realm', address, trusts)}relay = "trusted"\n`
        : `${entry('realm', address, `${trusts}, ${pem('client_ca', authority.pem)}`)}peers = ["*"]\n`;
    return {
      name: `realm, ${relay}`,
      listener: listener + management,
      connect: async () => {
        await until(
          'the realm has the guest',
          30,
          async () => (await realm.metric('kata_realm_guests')) === 1,
        );
        const outer = await toGuest(realm, authority, operator);
        return over(relay === 'trusted' ? outer : await guestTls({ socket: outer }, operator));
      },
      processorSeconds: () => realm.processorSeconds,
      close: () => realm.stop(),
    };
  };

/** The links that are measured. */
export const links: readonly MakeLink[] = [
  tls,
  dialOut,
  throughRealm('trusted'),
  throughRealm('operator-tls'),
];

/** Speaks TLS to the agent, whose key is not verified: it is the benchmark's own. */
async function guestTls(
  to: { readonly host: string; readonly port: number } | { readonly socket: Duplex },
  { cert, key }: Credentials,
): Promise<TLSSocket> {
  const socket = connectTls({
    ...to,
    cert,
    key,
    ALPNProtocols: ['kata-agent-ttrpc'],
    rejectUnauthorized: false,
  });
  await once(socket, 'secureConnect');
  return socket;
}

/** Connects to a realm as an operator, and has the connection upgraded to one to its guest. */
async function toGuest(
  realm: RealmProgram,
  { pem: ca }: Authority,
  { cert, key }: Credentials,
): Promise<TLSSocket> {
  const socket = connectTls({ host: realmHost, port: realm.ports.operators, ca, cert, key });
  await once(socket, 'secureConnect');
  socket.setNoDelay(true);
  socket.write(
    'GET /guests/web HTTP/1.1\r\nHost: realm\r\nConnection: Upgrade\r\nUpgrade: kata-agent-ttrpc/1\r\n\r\n',
  );
  let head = Buffer.alloc(0);
  while (!head.includes('\r\n\r\n')) {
    const part = socket.read() as Buffer | null;
    if (part !== null) head = Buffer.concat([head, part]);
    else if (socket.destroyed || socket.readableEnded) break;
    else await Promise.race([once(socket, 'readable'), once(socket, 'close')]);
  }
  if (!head.toString().startsWith('HTTP/1.1 101 ')) throw new Error(`the realm answers: ${head.toString()}`);
  const rest = head.subarray(head.indexOf('\r\n\r\n') + 4);
  if (rest.length > 0) socket.unshift(rest);
  return socket;
}

async function closed(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
}
