import { Buffer } from 'node:buffer';
import type { OnReadOpts, Socket as Stream } from 'node:net';
import type { Syscalls } from '../syscalls/syscalls.js';
import { streamOn } from './socket-exchange.js';
import { descriptorOf } from './unix-socket.js';

/** As much as Node.js reads at once. */
const readSize = 65_536;

/** One for all connections: what is read is passed on before another is read from. */
let buffer: Buffer | undefined;

/** A connection that lends received bytes (`LendingStream` of lib/ttrpc). It is paused at first. */
export interface LendingStream extends Stream {
  /** Sets the function that gets received bytes. They are valid until it returns. */
  lendTo(borrow: (bytes: Uint8Array) => void): void;
}

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
  let borrow: ((bytes: Uint8Array) => void) | undefined;
  buffer ??= Buffer.allocUnsafeSlow(readSize);
  const onread: OnReadOpts = {
    buffer,
    callback: (length, bytes) => {
      borrow?.(bytes.subarray(0, length));
      return true;
    },
  };
  const stream = streamOn(syscalls, { fd }, { onread });
  stream.pause();
  accepted.destroy();
  return Object.assign(stream, {
    lendTo: (take: (bytes: Uint8Array) => void): void => {
      borrow = take;
    },
  });
}
