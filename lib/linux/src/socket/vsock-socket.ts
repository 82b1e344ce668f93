import { Buffer } from 'node:buffer';
import type { Server, Socket as Stream } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { Socket } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';
import { hasCode, SyscallError } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';
import { descriptorOf } from './unix-socket.js';
import { listenOn, streamOn } from './socket-exchange.js';

/** Well-known context ids. `Any` listens on all local ones. */
export const Cid = { Local: 1, Host: 2, Any: 0xffff_ffff } as const;

const scheme = 'vsock://';

const form =
  'expected vsock://CID:PORT, as in vsock://-1:1024, where -1 means any context id of this machine';

/**
 * Makes a server listen on vsock; resolves when connections are accepted. Throws errors of bind(2): EADDRINUSE,
 * EADDRNOTAVAIL for a CID that is not local, EACCES; EAFNOSUPPORT when the kernel has no vsock.
 *
 * A connection that finds the backlog full is reset as if there were no listener, so the backlog is long.
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
 * Returns a connected stream. Throws errors of connect(2): ECONNRESET without a listener or with a full backlog; ENODEV
 * when no device leads to that CID; ETIMEDOUT after the kernel's two seconds. `from`: the source port, by which the
 * agent identifies connections for stdio; errors of bind(2) are possible then.
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
    // Node.js cannot wait for a connection on a plain descriptor, so it is polled; usually it is connected at once.
    for (let pauseMs = 1; !isConnected(syscalls, end, address); pauseMs = Math.min(2 * pauseMs, 20))
      await setTimeout(pauseMs, undefined, signal === undefined ? {} : { signal });
    return streamOn(syscalls, end);
  } finally {
    end.close();
  }
}

/** Returns the peer's address. Undefined when the connection is closed or not vsock. */
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

/** Polls the connection. A failure is reported by SO_ERROR only: connect(2) keeps returning EALREADY. */
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

/** A vsock address (vsock(7)): context id and port, both unsigned 32-bit numbers. */
export interface VsockAddress {
  readonly cid: number;
  readonly port: number;
}

/** Parses `vsock://CID:PORT`. The error names the fault and the format. */
export function parseVsockAddress(text: string): VsockAddress {
  const [, cid, port] = /^vsock:\/\/(-1|[0-9]{1,10}):([0-9]{1,10})$/.exec(text) ?? [];
  if (cid === undefined || port === undefined)
    throw new Error(`vsock address ${JSON.stringify(text)}: ${form}`);
  const address = { cid: cid === '-1' ? Cid.Any : Number(cid), port: Number(port) };
  if (address.cid > Cid.Any) throw new Error(`vsock address ${JSON.stringify(text)}: the CID has 32 bits`);
  // The highest port is VMADDR_PORT_ANY.
  if (address.port === 0 || address.port >= 0xffff_ffff)
    throw new Error(`vsock address ${JSON.stringify(text)}: a port is from 1 to 4294967294`);
  return address;
}

/** Formats an address; parsing the result gives the same address. */
export function formatVsockAddress({ cid, port }: VsockAddress): string {
  return `${scheme}${cid === Cid.Any ? '-1' : cid}:${port}`;
}

/** Encodes struct sockaddr_vm: family (2 bytes), reserved (2), port (4), cid (4), flags and padding (4). */
export function vsockSocketAddress({ cid, port }: VsockAddress): Uint8Array {
  const result = Buffer.from(new ArrayBuffer(16));
  result.writeUInt16LE(Socket.Vsock, 0);
  result.writeUInt32LE(port, 4);
  result.writeUInt32LE(cid, 8);
  return result;
}

/** Returns undefined for a socket address of another family. */
export function readVsockSocketAddress(address: Uint8Array): VsockAddress | undefined {
  const bytes = Buffer.from(address);
  if (bytes.length < 12 || bytes.readUInt16LE(0) !== Socket.Vsock) return undefined;
  return { cid: bytes.readUInt32LE(8), port: bytes.readUInt32LE(4) };
}
