import { Buffer } from 'node:buffer';
import { chmodSync, fchmodSync, lstatSync, rmSync, type Stats } from 'node:fs';
import { type Server, Socket as Stream } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { Socket } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';
import { hasCode, SyscallError } from '../syscalls/syscall-error.js';
import type { PeerCredentials } from '../syscalls/socket-calls.js';
import type { Syscalls } from '../syscalls/syscalls.js';

const scheme = 'unix://';

/** sockaddr_un has 108 bytes; a path needs a terminating NUL, an abstract name a leading one. */
const maxBytes = 107;

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

/** The address of a unix socket: a path, or a name in the abstract namespace (unix(7)). */
export type UnixAddress =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'abstract'; readonly name: string };

/** Parses `unix:///absolute/path` or `unix://@abstract-name`. The error names the fault and the format. */
export function parseUnixAddress(text: string): UnixAddress {
  const refuse = (reason: string): never => {
    throw new Error(
      `unix address ${JSON.stringify(text)} ${reason}; expected unix:///path/of/socket or unix://@abstract-name`,
    );
  };
  if (!text.startsWith(scheme)) refuse(`does not start with ${scheme}`);
  const rest = text.slice(scheme.length);
  const abstract = rest.startsWith('@');
  const name = abstract ? rest.slice(1) : rest;
  if (name === '') refuse('has no name');
  if (!abstract && !name.startsWith('/')) refuse('has a path that is not absolute');
  if (name.includes('\0')) refuse('contains a NUL byte');
  const length = Buffer.byteLength(name);
  if (length > maxBytes)
    refuse(`has ${length} bytes after the scheme, more than the kernel's limit of ${maxBytes}`);
  return abstract ? { kind: 'abstract', name } : { kind: 'path', path: name };
}

/** Formats an address; parsing the result gives the same address. */
export function formatUnixAddress(address: UnixAddress): string {
  return address.kind === 'path' ? `${scheme}${address.path}` : `${scheme}@${address.name}`;
}

/**
 * Encodes struct sockaddr_un, exactly as long as the name. For an abstract name the length is significant: Kata's
 * clients use the exact length, while Node's `net` pads with zero bytes, which is a different name.
 */
export function unixSocketAddress(address: UnixAddress): Uint8Array {
  const name = address.kind === 'path' ? `${address.path}\0` : `\0${address.name}`;
  const text = Buffer.from(name);
  if (text.length > maxBytes + 1)
    throw new RangeError(
      `unix socket ${JSON.stringify(name)} has ${text.length - 1} bytes, more than the kernel's limit of ${maxBytes}`,
    );
  const result = Buffer.from(new ArrayBuffer(2 + text.length));
  result.writeUInt16LE(Socket.Unix, 0);
  result.set(text, 2);
  return result;
}

/**
 * Makes the kernel end a TCP connection, or the one below a TLS connection, whose sent bytes are not acknowledged, or not taken by
 * the other end, for a time: otherwise it tries for about 15 minutes, in which keep-alive does nothing. Node.js has no
 * option for it. With it, it also replaces the number of unanswered probes of keep-alive.
 */
export function limitUnacknowledged(syscalls: Syscalls, stream: object, milliseconds: number): void {
  const fd = descriptorOf(stream);
  if (fd !== undefined) syscalls.setUserTimeout(fd, milliseconds);
}
