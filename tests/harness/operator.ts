import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { Management } from '@kata-agent/protocol/management';
import { Relay } from '@kata-agent/protocol/relay';
import { type Channel, type Client, connect, createClient } from '@kata-agent/ttrpc';
import type { DialledIn, DialServer } from './dial-server.js';

/** An operator that calls a guest through a server. */
export interface Operator {
  readonly socket: TLSSocket;
  /** The connection of the guest to the server. */
  readonly outer: TLSSocket;
  readonly channel: Channel;
  readonly agent: Client<typeof AgentService>;
  readonly health: Client<typeof Health>;
  readonly management: Client<typeof Management>;
  readonly relay: Client<typeof Relay>;
}

/** Has a guest dial for an operator. Resolves with the connection, in which nothing was sent. */
export async function openRelayed(
  server: DialServer,
  guest: Pick<DialledIn, 'relay'>,
  operator: Uint8Array = new Uint8Array(),
): Promise<TLSSocket> {
  const token = randomBytes(32);
  const arrived = server.expect(token);
  await guest.relay.openConnection({ token, operator });
  return arrived;
}

/** Speaks TLS to a guest inside a connection. Rejects with the error of TLS if the guest closes it during the handshake. */
export async function speakTls(outer: Duplex, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({
    socket: outer,
    ALPNProtocols: ['kata-agent-ttrpc'],
    // These tests are about the guest's decision.
    rejectUnauthorized: false,
    ...options,
  });
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  return socket;
}

/** Connects an operator to a guest. The guest may still refuse it: a client learns that later. */
export async function connectOperator(
  server: DialServer,
  guest: Pick<DialledIn, 'relay'>,
  options: ConnectionOptions,
  label?: Uint8Array,
): Promise<Operator> {
  const outer = await openRelayed(server, guest, label);
  const socket = await speakTls(outer, options);
  const channel = connect(socket);
  return {
    socket,
    outer,
    channel,
    agent: createClient(AgentService, channel),
    health: createClient(Health, channel),
    management: createClient(Management, channel),
    relay: createClient(Relay, channel),
  };
}
