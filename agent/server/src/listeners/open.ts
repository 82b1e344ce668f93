import type { Server, Socket } from 'node:net';
import {
  checkExchange,
  hasCode,
  listenUnix,
  listenVsock,
  peerOf,
  SyscallError,
  type Syscalls,
  vsockPeerOf,
} from '@kata-agent/linux';
import type { Address } from './address.js';
import type { Caller } from '../caller/caller.js';
import { unixPeer, vsockPeer } from './peer.js';

/** How long Node may take to show that it can serve vsock. It takes a millisecond, more under emulation. */
const checkPatienceMs = 30_000;

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
export function peerAt(
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
