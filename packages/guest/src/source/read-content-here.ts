import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Descriptor } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';
import type { Content } from './read-content.js';

/** A FIFO does not block. */
const readFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Reads a regular file as `readContent`, in the calling thread. `place`: with O_PATH. */
export function readContentHere(place: Descriptor, limit: number, named: string): Content {
  const file = openSync(`/proc/self/fd/${place.fd}`, readFlags);
  try {
    const { uid, gid, mode } = fstatSync(file);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG)
      throw new GuestError('refused', `${named} is not a regular file`);
    // One more byte than allowed tells that there are more.
    const bytes = Buffer.alloc(limit + 1);
    let length = 0;
    for (let more = -1; more !== 0 && length <= limit; length += more)
      more = readSync(file, bytes, length, bytes.length - length, length);
    if (length > limit) throw new GuestError('exhausted', `${named} has more than ${limit} bytes`);
    return { bytes: Buffer.from(bytes.subarray(0, length)), uid, gid, mode: mode & 0o777 };
  } finally {
    closeSync(file);
  }
}
