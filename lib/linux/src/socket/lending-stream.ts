import type { Socket as Stream } from 'node:net';
import { type LendingStream, lendingReads } from './lending-reads.js';
import type { Syscalls } from '../syscalls/syscalls.js';
import { streamOn } from './socket-exchange.js';
import { descriptorOf } from './unix-socket.js';

/**
 * Takes over an accepted connection, in the turn of the event loop that accepted it: nothing of it has been read. Node.js
 * makes 64 KiB of memory for each read from an accepted stream; only one that is opened on a descriptor can read into the
 * same buffer again (`onread`). The accepted stream is closed; the connection stays open.
 *
 * Returns undefined if the accepted stream is closed. Throws a SyscallError without free descriptors, and leaves it.
 */
export function lendingStream(syscalls: Syscalls, accepted: Stream): LendingStream | undefined {
  const fd = descriptorOf(accepted);
  if (fd === undefined) return undefined;
  const stream = lendingReads((onread) => streamOn(syscalls, { fd }, { onread }));
  accepted.destroy();
  return stream;
}
