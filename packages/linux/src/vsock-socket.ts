import type { Server, Socket as Stream } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { Socket } from './constants.js';
import { Descriptor } from './descriptor.js';
import { hasCode, SyscallError } from './syscall-error.js';
import type { Syscalls } from './syscalls.js';
import { descriptorOf } from './unix-socket.js';
import {
  Cid,
  formatVsockAddress,
  readVsockSocketAddress,
  type VsockAddress,
  vsockSocketAddress,
} from './vsock-address.js';
import { listenOn, streamOn } from './socket-exchange.js';

/**
 * Makes a server listen on vsock; it resolves when connections are accepted. Errors are bind(2)'s: EADDRINUSE,
 * EADDRNOTAVAIL for a CID that is not ours, EACCES; EAFNOSUPPORT when the kernel has no vsock.
 *
 * A connection that finds the backlog full is reset as if nobody listened, so the backlog is long.
 */
export async function listenVsock(
  syscalls: Syscalls,
  server: Server,
  address: VsockAddress,
  { backlog = 4096 }: { readonly backlog?: number } = {},
): Promise<void> {
  const listener = vsockStream(syscalls);
  try {
    syscalls.bind(listener.fd, vsockSocketAddress(address), formatVsockAddress(address));
    await listenOn(syscalls, server, listener, backlog);
  } finally {
    listener.close();
  }
}

/**
 * A connected stream. Errors are connect(2)'s: ECONNRESET when nobody listens there, or too many wait; ENODEV when no
 * device leads to that CID; ETIMEDOUT after the kernel's own two seconds. `from`: the port to come from, by which the agent
 * tells connections for stdio apart; bind(2)'s errors then too.
 */
export async function connectVsock(
  syscalls: Syscalls,
  address: VsockAddress,
  { signal, from }: { readonly signal?: AbortSignal; readonly from?: number } = {},
): Promise<Stream> {
  const end = vsockStream(syscalls);
  try {
    if (from !== undefined) {
      const own = { cid: Cid.Any, port: from };
      syscalls.bind(end.fd, vsockSocketAddress(own), formatVsockAddress(own));
    }
    // Nothing of Node's waits for a connection on a bare descriptor; it is there at once as a rule.
    for (let pauseMs = 1; !isConnected(syscalls, end, address); pauseMs = Math.min(2 * pauseMs, 20))
      await setTimeout(pauseMs, undefined, signal === undefined ? {} : { signal });
    return streamOn(syscalls, end);
  } finally {
    end.close();
  }
}

/** Who connected. Undefined when the connection is closed already, or is none of vsock. */
export function vsockPeerOf(syscalls: Syscalls, stream: Stream): VsockAddress | undefined {
  const fd = descriptorOf(stream);
  return fd === undefined ? undefined : readVsockSocketAddress(syscalls.peerAddress(fd));
}

function vsockStream(syscalls: Syscalls): Descriptor {
  return new Descriptor(
    syscalls,
    syscalls.socket(Socket.Vsock, Socket.Stream | Socket.NonBlock | Socket.CloseOnExec, 0),
  );
}

/** Asks for the connection, or how it goes. A failure is told by SO_ERROR alone: connect(2) goes on saying EALREADY. */
function isConnected(syscalls: Syscalls, end: Descriptor, address: VsockAddress): boolean {
  const label = formatVsockAddress(address);
  const failure = syscalls.socketError(end.fd);
  if (failure !== 0) throw new SyscallError('connect', failure, label);
  try {
    syscalls.connect(end.fd, vsockSocketAddress(address), label);
    return true;
  } catch (error) {
    if (hasCode(error, 'EISCONN')) return true;
    if (hasCode(error, 'EINPROGRESS', 'EALREADY')) return false;
    throw error;
  }
}
