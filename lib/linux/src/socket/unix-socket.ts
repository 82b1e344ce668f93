import { chmodSync, fchmodSync, lstatSync, rmSync, type Stats } from 'node:fs';
import { type Server, Socket as Stream } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { Socket } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';
import { hasCode, SyscallError } from '../syscalls/syscall-error.js';
import type { PeerCredentials } from '../syscalls/socket-calls.js';
import type { Syscalls } from '../syscalls/syscalls.js';
import { formatUnixAddress, type UnixAddress, unixSocketAddress } from './unix-address.js';

export interface ListenOptions {
  /** Maximum number of pending connections; limited by the kernel to `net.core.somaxconn`, usually 4096. */
  readonly backlog?: number;
  /**
   * Permission bits of the socket's file, in effect from its creation, so that there is no window for others to
   * connect.
   */
  readonly mode?: number;
}

/**
 * Makes a server listen on a unix socket. Resolves when connections are accepted. The file of a dead listener is
 * replaced; any other file, and a live listener, is an error. The file is removed when the server closes, unless
 * another one has replaced it.
 */
export async function listenUnix(
  syscalls: Syscalls,
  server: Server,
  address: UnixAddress,
  options: ListenOptions = {},
): Promise<void> {
  const { backlog = 4096, mode = 0o600 } = options;
  if (address.kind === 'path') removeStale(syscalls, address.path);
  const listener = unixStream(syscalls);
  try {
    fchmodSync(listener.fd, mode); // bind(2) creates the file with the socket's mode and the umask
    syscalls.bind(listener.fd, unixSocketAddress(address), formatUnixAddress(address));
  } catch (error) {
    listener.close();
    throw error;
  }
  const made = address.kind === 'path' ? lstatSync(address.path) : undefined;
  try {
    if (address.kind === 'path') chmodSync(address.path, mode);
    await listening(server, listener, backlog);
  } catch (error) {
    listener.close();
    if (address.kind === 'path') removeOwn(address.path, made);
    throw error;
  }
  server.once('close', () => {
    if (address.kind === 'path') removeOwn(address.path, made);
  });
}

/** How long to wait for space in a full backlog, in ms. */
const connectPatienceMs = 5_000;
const connectPauseMs = 20;

/**
 * Returns a connected stream. Throws errors of connect(2): ENOENT or ECONNREFUSED without a listener, EACCES, EAGAIN.
 */
export async function connectUnix(syscalls: Syscalls, address: UnixAddress): Promise<Stream> {
  const end = unixStream(syscalls);
  try {
    // Unix sockets never connect in the background: without blocking, EAGAIN means that the backlog is full.
    for (
      let waited = 0;
      !tryConnect(syscalls, end, address, waited >= connectPatienceMs);
      waited += connectPauseMs
    )
      await setTimeout(connectPauseMs);
    const stream = new Stream({ fd: end.fd, readable: true, writable: true, allowHalfOpen: true });
    end.take();
    return stream;
  } finally {
    end.close();
  }
}

/**
 * Returns the peer's credentials. Node.js has no public API for the descriptor of an accepted connection, but libuv's
 * handle has had it under this name since Node 0.x. Undefined if that ever changes, or when the connection is closed.
 */
export function peerOf(syscalls: Syscalls, stream: Stream): PeerCredentials | undefined {
  const fd = descriptorOf(stream);
  return fd === undefined ? undefined : syscalls.peerCredentials(fd);
}

/** See `peerOf`. */
export function descriptorOf(stream: object): number | undefined {
  const handle = '_handle' in stream ? stream._handle : undefined;
  const fd = typeof handle === 'object' && handle !== null && 'fd' in handle ? handle.fd : undefined;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

function unixStream(syscalls: Syscalls): Descriptor {
  return new Descriptor(
    syscalls,
    syscalls.socket(Socket.Unix, Socket.Stream | Socket.NonBlock | Socket.CloseOnExec, 0),
  );
}

/** Returns false when the backlog is full and there is time left. */
function tryConnect(syscalls: Syscalls, end: Descriptor, address: UnixAddress, last: boolean): boolean {
  try {
    syscalls.connect(end.fd, unixSocketAddress(address), formatUnixAddress(address));
    return true;
  } catch (error) {
    if (last || !hasCode(error, 'EAGAIN')) throw error;
    return false;
  }
}

/** The server owns the descriptor once it listens; until then the caller does. */
async function listening(server: Server, listener: Descriptor, backlog: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd: listener.fd, backlog }, () => {
      server.off('error', reject);
      listener.take();
      resolve();
    });
  });
}

function removeStale(syscalls: Syscalls, path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new Error(`${path} exists and is not a socket: remove it, or listen at another path`);
  const probe = unixStream(syscalls);
  try {
    syscalls.connect(probe.fd, unixSocketAddress({ kind: 'path', path }), path);
  } catch (error) {
    if (!hasCode(error, 'ECONNREFUSED', 'EAGAIN')) throw error;
    if (hasCode(error, 'EAGAIN')) throw inUse(path);
    rmSync(path);
    return;
  } finally {
    probe.close();
  }
  throw inUse(path);
}

function inUse(path: string): SyscallError {
  return SyscallError.named('bind', 'EADDRINUSE', path);
}

/** Removes the socket's file if it is still the one created here. */
function removeOwn(path: string, made: Stats | undefined): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.ino === made?.ino && found?.dev === made?.dev) rmSync(path, { force: true });
}
