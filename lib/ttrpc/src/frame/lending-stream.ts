import type { Duplex } from 'node:stream';

/**
 * A stream that lends received bytes, in memory that it uses again, instead of emitting them as `data`: such a socket
 * (`onread` of net.Socket) makes no memory for each read. It is paused at first; all else is as of any stream.
 */
export interface LendingStream extends Duplex {
  /** Sets the function that gets received bytes, once. They are valid until it returns: it copies what it keeps. */
  lendTo(borrow: (bytes: Uint8Array) => void): void;
}

export function lends(stream: Duplex): stream is LendingStream {
  return 'lendTo' in stream && typeof stream.lendTo === 'function';
}
