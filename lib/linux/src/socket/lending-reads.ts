import { Buffer } from 'node:buffer';
import type { OnReadOpts, Socket as Stream } from 'node:net';

/** As much as Node.js reads at once. */
const readSize = 65_536;

/** One for all: its bytes are passed on before the next read. */
let buffer: Buffer | undefined;

/** A socket that lends received bytes (`LendingStream` of lib/ttrpc). It is paused at first. */
export interface LendingStream extends Stream {
  /** Sets the function that gets received bytes. They are valid until it returns. */
  lendTo(borrow: (bytes: Uint8Array) => void): void;
}

/** Makes a stream with the `onread` that it is given, by which it lends received bytes. */
export function lendingReads(make: (onread: OnReadOpts) => Stream): LendingStream {
  let borrow: ((bytes: Uint8Array) => void) | undefined;
  const callback = (length: number, bytes: Uint8Array): boolean => {
    borrow?.(bytes.subarray(0, length));
    return true;
  };
  buffer ??= Buffer.allocUnsafeSlow(readSize);
  const stream = make({ buffer, callback });
  stream.pause();
  return Object.assign(stream, {
    lendTo: (take: (bytes: Uint8Array) => void): void => {
      borrow = take;
    },
  });
}
