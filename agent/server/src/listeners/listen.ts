import { createServer, type Socket } from 'node:net';
import { onDoublings } from '@kata-agent/base';
import type { AuditLog } from '@kata-agent/audit';
import type { ListenerSettings, PeerList } from '@kata-agent/config';
import type { Syscalls } from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';
import { type Address, parseAddress } from './address.js';
import type { Caller } from '../caller/caller.js';
import { ConnectionLimit } from './connection-limit.js';
import { recordConnectionRefusal } from './connection-refusal.js';
import { openListener, peerAt } from './open.js';
import { describePeers, isWelcome } from './peer.js';

export interface Listener {
  /** Accepts no more connections. Open connections stay. */
  close(): Promise<void>;
}

export interface ListenerOptions extends Pick<ListenerSettings, 'name' | 'address' | 'peers' | 'limits'> {
  readonly syscalls: Syscalls;
  readonly log: Log;
  readonly audit: Pick<AuditLog, 'refuse'>;
  readonly serve: (stream: Socket, caller: Caller) => void;
}

/**
 * Opens a listener.
 *
 * @throws CannotApply if the address is not available: in use, not permitted, or of a type that this machine does not
 * support.
 */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { name, address, peers, syscalls, log } = options;
  const place = parseAddress(address);
  const server = createServer({ allowHalfOpen: true }, accept(options, place));
  try {
    await openListener(syscalls, server, place, fileMode(peers));
  } catch (error) {
    throw new CannotApply(`listener ${name} at ${address}: ${(error as Error).message}`, { cause: error });
  }
  server.on('error', (error) => log('error', 'listener', { listener: name, error: error.message }));
  return {
    close: async () => {
      server.close();
    },
  };
}

function accept(options: ListenerOptions, address: Address): (socket: Socket) => void {
  const { name, peers, syscalls, log, audit, serve } = options;
  const limit = new ConnectionLimit(options, log);
  const unwelcome = onDoublings<string>((turnedAway, peer) =>
    log('warn', 'closed connections of peers that are not in peers', {
      code: 'KA3202',
      listener: name,
      peer,
      turnedAway,
    }),
  );
  return (socket) => {
    socket.on('error', (error) => log('debug', 'connection', { listener: name, error: error.message }));
    if (limit.closes(socket)) return;
    const peer = peerAt(address, syscalls, socket);
    if (peer === undefined) {
      socket.destroy();
      return;
    }
    const caller: Caller = { listener: name, ...peer };
    if (!isWelcome(peers, caller.identity)) {
      unwelcome(caller.peer);
      recordConnectionRefusal(audit, caller, 'KA3202', `the peer is not in peers = ${describePeers(peers)}`);
      socket.destroy();
      return;
    }
    limit.add(socket);
    serve(socket, caller);
  };
}

/** Only the owner can access the socket's file, unless other peers are allowed: then `peers` decides. */
function fileMode(peers: readonly PeerList[]): number {
  return peers.some((list) => list.every((entry) => entry === 'host')) ? 0o600 : 0o666;
}
