import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { onDoublings } from '@kata-agent/base';
import type { AuditLog } from '@kata-agent/audit';
import type { ListenerSettings, PeerList } from '@kata-agent/config';
import {
  checkExchange,
  hasCode,
  lendingStream,
  listenUnix,
  listenVsock,
  parseUnixAddress,
  parseVsockAddress,
  peerOf,
  SyscallError,
  type Syscalls,
  type UnixAddress,
  type VsockAddress,
  vsockPeerOf,
} from '@kata-agent/linux';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';
import type { Caller } from '../caller.js';
import { recordConnectionRefusal } from './connections.js';
import { describePeers, isWelcome, unixPeer, vsockPeer } from './peer.js';

/** How long Node may take to show that it can serve vsock. It takes a millisecond, more under emulation. */
const checkPatienceMs = 30_000;

export interface Listener {
  /** Accepts no more connections. Open connections stay. */
  close(): Promise<void>;
}

export interface ListenerOptions extends Pick<ListenerSettings, 'name' | 'address' | 'peers' | 'limits'> {
  readonly syscalls: Syscalls;
  readonly log: Log;
  readonly audit: Pick<AuditLog, 'refuse'>;
  readonly serve: (stream: Socket, caller: Caller) => void;
  /** Whether `serve` takes streams that lend received bytes (`LendingStream`); otherwise they emit `data`. */
  readonly lends?: boolean;
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
  const { name, peers, syscalls, log, audit, serve, lends = false } = options;
  const limit = new ConnectionLimit(options, log);
  const unwelcome = onDoublings<string>((turnedAway, peer) =>
    log('warn', 'closed connections of peers that are not in peers', {
      code: 'KA3202',
      listener: name,
      peer,
      turnedAway,
    }),
  );
  const logErrors = (socket: Socket): void => {
    socket.on('error', (error) => log('debug', 'connection', { listener: name, error: error.message }));
  };
  return (socket) => {
    logErrors(socket);
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
    const lending = lends ? lendingOf(syscalls, socket) : undefined;
    if (lending !== undefined) logErrors(lending);
    const stream = lending ?? socket;
    limit.add(stream);
    serve(stream, caller);
  };
}

/** Returns undefined without free descriptors: the accepted stream can be served, too. */
function lendingOf(syscalls: Syscalls, socket: Socket): Socket | undefined {
  try {
    return lendingStream(syscalls, socket);
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}

/** Only the owner can access the socket's file, unless other peers are allowed: then `peers` decides. */
function fileMode(peers: readonly PeerList[]): number {
  return peers.some((list) => list.every((entry) => entry === 'host')) ? 0o600 : 0o666;
}

/** Makes a server listen at an address. `mode` is that of a socket's file. Rejects with an error for people. */
export async function openListener(
  syscalls: Syscalls,
  server: Server,
  address: Address,
  mode: number,
): Promise<void> {
  if (address.kind !== 'vsock') {
    try {
      return await listenUnix(syscalls, server, address, { mode });
    } catch (error) {
      throw new Error(`${(error as Error).message}${unixHelp(error)}`, { cause: error });
    }
  }
  await checkExchange(syscalls, checkPatienceMs);
  try {
    await listenVsock(syscalls, server, address);
  } catch (error) {
    throw new Error(`${(error as Error).message}${vsockHelp(error, address.cid)}`, { cause: error });
  }
}

function unixHelp(error: unknown): string {
  if (hasCode(error, 'ENOENT')) return ': create the directory of the socket, or change the address';
  if (hasCode(error, 'EADDRINUSE')) return ': another program listens there';
  return '';
}

function vsockHelp(error: unknown, cid: number): string {
  if (hasCode(error, 'EAFNOSUPPORT'))
    return ': the kernel has no vsock (modules vsock and vmw_vsock_virtio_transport); elsewhere than in a guest, use --server-addr unix:///PATH';
  if (hasCode(error, 'EADDRNOTAVAIL')) return `: ${cid} is not the context id of this machine; -1 is any`;
  if (hasCode(error, 'EADDRINUSE')) return ': another program listens on that port';
  return '';
}

/** Returns the peer of an accepted connection; undefined if the connection is already closed. */
function peerAt(
  { kind }: Address,
  syscalls: Syscalls,
  socket: Socket,
): Pick<Caller, 'peer' | 'identity'> | undefined {
  try {
    if (kind === 'vsock') {
      const address = vsockPeerOf(syscalls, socket);
      return address === undefined ? undefined : vsockPeer(address);
    }
    const credentials = peerOf(syscalls, socket);
    return credentials === undefined ? undefined : unixPeer(credentials);
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}

/** The address of a listener. */
type Address = UnixAddress | ({ readonly kind: 'vsock' } & VsockAddress);

/** Parses an address that the configuration has already checked. */
function parseAddress(text: string): Address {
  if (text.startsWith('vsock://')) return { kind: 'vsock', ...parseVsockAddress(text) };
  return parseUnixAddress(text);
}

/** Counts the connections of a listener, and closes those beyond its limit at once (S17). */
class ConnectionLimit {
  readonly #limit: number;
  readonly #report: () => void;
  #open = 0;

  constructor({ name, limits }: Pick<ListenerSettings, 'name' | 'limits'>, log: Log) {
    this.#limit = limits.connections;
    this.#report = onDoublings((turnedAway) =>
      log('warn', 'connections over the limit closed', { listener: name, limit: this.#limit, turnedAway }),
    );
  }

  /** Closes a connection if there are as many as may be. Returns whether it did. */
  closes(stream: Duplex): boolean {
    if (this.#open < this.#limit) return false;
    this.#report();
    stream.destroy();
    return true;
  }

  /** Counts a connection until it closes. */
  add(stream: Duplex): void {
    this.#open += 1;
    stream.once('close', () => {
      this.#open -= 1;
    });
  }
}
