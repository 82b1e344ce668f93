import { createServer, type Socket } from 'node:net';
import type { AuditLog } from '@kata-agent/audit';
import type { ListenerSettings } from '@kata-agent/config';
import type { Syscalls } from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';
import { type Address, parseAddress } from './address.js';
import type { Caller } from './caller.js';
import { openListener, peerAt } from './open.js';
import { isWelcome } from './peer.js';

export interface Listener {
  /** Takes no more connections. Those that were taken go on. */
  close(): Promise<void>;
}

export interface ListenerOptions extends ListenerSettings {
  /** Connections at a time; more are closed at once (S17). */
  readonly connections: number;
  readonly syscalls: Syscalls;
  readonly log: Log;
  readonly audit: Pick<AuditLog, 'refuse'>;
  readonly serve: (stream: Socket, caller: Caller) => void;
}

/**
 * Opens a listener.
 *
 * @throws CannotApply when the address cannot be had: taken, not permitted, or of a kind that this machine has not.
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
  const { name, connections, peers, syscalls, log, audit, serve } = options;
  let open = 0;
  const overLimit = rarely((turnedAway) =>
    log('warn', 'connections over the limit closed', { listener: name, limit: connections, turnedAway }),
  );
  const unwelcome = rarely((turnedAway, peer) =>
    log('warn', 'connections of peers that the listener is not for closed', {
      listener: name,
      peer,
      turnedAway,
    }),
  );
  return (socket) => {
    socket.on('error', (error) => log('debug', 'connection', { listener: name, error: error.message }));
    if (open >= connections) {
      overLimit();
      socket.destroy();
      return;
    }
    const peer = peerAt(address, syscalls, socket);
    if (peer === undefined) {
      socket.destroy();
      return;
    }
    const caller: Caller = { listener: name, ...peer };
    if (!isWelcome(peers, caller.identity)) {
      unwelcome(caller.peer);
      recordRefusal(audit, caller, peers);
      socket.destroy();
      return;
    }
    open += 1;
    socket.once('close', () => {
      open -= 1;
    });
    serve(socket, caller);
  };
}

/** Tells once, and then at each doubling: a peer that goes on must not fill the log. */
function rarely(tell: (times: number, peer?: string) => void): (peer?: string) => void {
  let times = 0;
  return (peer) => {
    times += 1;
    if (Number.isInteger(Math.log2(times))) tell(times, peer);
  };
}

/** It called nothing, so the record names no method. */
function recordRefusal(audit: Pick<AuditLog, 'refuse'>, caller: Caller, peers: readonly string[]): void {
  const { listener, peer } = caller;
  const method = '(connection)';
  const reason = `the peer is not in peers = ${JSON.stringify(peers)}`;
  audit.refuse(
    { listener, peer, method, payload: new Uint8Array() },
    { outcome: 'deny', method, listener, reason },
  );
}

/** A socket's file is for its owner alone, unless the listener is for others too: then `peers` decides. */
function fileMode(peers: readonly string[]): number {
  return peers.every((entry) => entry === 'host') ? 0o600 : 0o666;
}
