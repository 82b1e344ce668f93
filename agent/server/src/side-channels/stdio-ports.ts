import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Syscalls, vsockPeerOf } from '@kata-agent/linux';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';
import type { Log } from '../log.js';

/** How long a call waits for its connection: the two arrive independently. */
const patienceMs = 1_000;
const pauseMs = 10;

/** How long a connection may wait for its call, before it is closed. */
const lifetimeMs = 60_000;

/** A decimal port number and a line feed. */
const longestLine = 11;

/**
 * Connections for stdio outside of the API (the setting `passfd_listener_port`). A call names a connection by its port:
 * on vsock the peer's source port (Kata 4.1, src/agent/src/passfd_io.rs); on a unix socket, which has none, the number
 * in the connection's first line.
 */
export class StdioPorts {
  /** The listener whose calls can take connections: a port says nothing about who connected, but for its peers. */
  readonly listener: string;
  readonly #syscalls: Syscalls;
  readonly #log: Log;
  readonly #waiting: Map<number, Socket> = new Map();

  constructor(listener: string, syscalls: Syscalls, log: Log) {
    this.listener = listener;
    this.#syscalls = syscalls;
    this.#log = log;
  }

  /** Accepts a connection. */
  readonly accept = (socket: Socket, { identity, peer }: Caller): void => {
    if (identity.kind === 'vsock') {
      const port = vsockPeerOf(this.#syscalls, socket)?.port;
      if (port === undefined) socket.destroy();
      else this.#keep(port, socket);
      return;
    }
    void readPort(socket).then((port) => {
      if (port === undefined) {
        this.#log('warn', 'stdio: a connection without a port in its first line is closed', { peer });
        socket.destroy();
      } else this.#keep(port, socket);
    });
  };

  /** Returns the connection from a port; the caller owns it then. Throws FAILED_PRECONDITION if none arrives. */
  async take(port: number): Promise<Socket> {
    for (let waited = 0; waited <= patienceMs; waited += pauseMs) {
      const socket = this.#waiting.get(port);
      if (socket !== undefined) {
        this.#waiting.delete(port);
        return socket;
      }
      await delay(pauseMs);
    }
    throw new TtrpcError(
      Code.FailedPrecondition,
      `stdio: no connection from port ${port} (passfd_listener_port); connect before the call`,
    );
  }

  /** Closes unused connections. */
  close(): void {
    for (const socket of this.#waiting.values()) socket.destroy();
  }

  #keep(port: number, socket: Socket): void {
    this.#waiting.get(port)?.destroy();
    this.#waiting.set(port, socket);
    const forget = (): void => {
      if (this.#waiting.get(port) === socket) this.#waiting.delete(port);
    };
    socket.once('close', forget);
    setTimeout(() => {
      if (this.#waiting.get(port) === socket) socket.destroy();
    }, lifetimeMs).unref();
  }
}

/** Undefined: the first line is not a port, or the connection ended before. Bytes after the line stay unread. */
async function readPort(socket: Socket): Promise<number | undefined> {
  let line = '';
  while (!line.includes('\n')) {
    if (line.length > longestLine || socket.destroyed || socket.readableEnded) return undefined;
    const data = socket.read(1) as Buffer | null;
    if (data === null) await readable(socket);
    else line += data.toString('latin1');
  }
  const port = /^(\d{1,10})\n$/.exec(line)?.[1];
  return port === undefined || Number(port) === 0 ? undefined : Number(port);
}

async function readable(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    const go = (): void => {
      socket.off('readable', go).off('end', go).off('close', go);
      resolve();
    };
    socket.on('readable', go).on('end', go).on('close', go);
  });
}
