import { createServer, type Socket } from 'node:net';
import { listenUnix, peerOf, SyscallError, type Syscalls } from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';
import { unixAddress } from './address.js';
import type { Caller } from './caller.js';

export interface Listener {
  /** Takes no more connections. Those that were taken go on. */
  close(): Promise<void>;
}

export interface ListenerOptions {
  readonly name: string;
  /** In the form of `server_addr`. */
  readonly address: string;
  /** Connections at a time; more are closed at once (S17). */
  readonly connections: number;
  readonly syscalls: Syscalls;
  readonly log: Log;
  readonly serve: (stream: Socket, caller: Caller) => void;
}

/**
 * Opens a listener.
 *
 * @throws CannotApply when the address cannot be had: taken, not permitted, or of a kind that is not built yet.
 */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { name, address, syscalls, log } = options;
  const server = createServer({ allowHalfOpen: true }, accept(options));
  try {
    await listenUnix(syscalls, server, unixAddress(address));
  } catch (error) {
    if (error instanceof CannotApply) throw error;
    throw new CannotApply(`listener ${name} at ${address}: ${(error as Error).message}`, { cause: error });
  }
  server.on('error', (error) => log('error', 'listener', { listener: name, error: error.message }));
  return {
    close: async () => {
      server.close();
    },
  };
}

function accept({ name, connections, syscalls, log, serve }: ListenerOptions): (socket: Socket) => void {
  let open = 0;
  let turnedAway = 0;
  return (socket) => {
    socket.on('error', (error) => log('debug', 'connection', { listener: name, error: error.message }));
    if (open >= connections) {
      turnedAway += 1;
      // Once, and then at each doubling: a peer that goes on must not fill the log.
      if (Number.isInteger(Math.log2(turnedAway))) {
        log('warn', 'connections over the limit closed', { listener: name, limit: connections, turnedAway });
      }
      socket.destroy();
      return;
    }
    open += 1;
    socket.once('close', () => {
      open -= 1;
    });
    const peer = peerName(syscalls, socket);
    if (peer === undefined) socket.destroy();
    else serve(socket, { listener: name, peer });
  };
}

/** Who is at the other end; undefined when the connection is over already. */
function peerName(syscalls: Syscalls, socket: Socket): string | undefined {
  try {
    const peer = peerOf(syscalls, socket);
    return peer && `pid ${peer.pid} uid ${peer.uid}`;
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}
