import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Descriptor } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Reads a regular file, which is lent, once. `named`: for errors. */
    readonly readContent: (args: { readonly limit: number; readonly named: string }) => Content;
  }
}

/** A FIFO does not block. */
const readFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
const chunkBytes = 64 * 1024;

/** A file that was read, with what its copy gets. */
export interface Content {
  readonly bytes: Uint8Array;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
}

/**
 * Reads a regular file once, in the calling thread.
 *
 * @param place a descriptor with O_PATH, which stays open
 * @param named for errors
 * @throws GuestError `refused` if it is not a regular file, `exhausted` if it has more than `limit` bytes.
 */
export function readContent(place: Descriptor, limit: number, named: string): Content {
  const file = openSync(`/proc/self/fd/${place.fd}`, readFlags);
  try {
    const { uid, gid, mode } = fstatSync(file);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG)
      throw new GuestError('refused', `${named} is not a regular file`);
    const chunk = Buffer.allocUnsafe(chunkBytes);
    const chunks: Buffer[] = [];
    let length = 0;
    for (;;) {
      const read = readSync(file, chunk, 0, chunk.length, length);
      if (read === 0) break;
      length += read;
      if (length > limit) throw new GuestError('exhausted', `${named} has more than ${limit} bytes`);
      chunks.push(Buffer.from(chunk.subarray(0, read)));
    }
    return { bytes: Buffer.concat(chunks), uid, gid, mode: mode & 0o777 };
  } finally {
    closeSync(file);
  }
}

/** Returns at most the first bytes of a regular file, read in the calling thread. */
export function readPrefix(place: Descriptor, length: number): Buffer {
  const file = openSync(`/proc/self/fd/${place.fd}`, readFlags);
  try {
    const prefix = Buffer.alloc(length);
    return prefix.subarray(0, readSync(file, prefix, 0, length, 0));
  } finally {
    closeSync(file);
  }
}
