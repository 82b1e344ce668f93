import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Descriptor } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';

/** A FIFO does not block. */
const readFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** A file that was read, with what its copy gets. */
export interface Content {
  readonly bytes: Buffer;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
}

/**
 * Reads a regular file once, in a thread, so that a share of the host that does not answer delays this call alone.
 *
 * @param place a descriptor with O_PATH, which stays open
 * @param named for errors
 * @throws GuestError `refused` if it is no regular file, `exhausted` if it has more than `limit` bytes.
 */
export async function readContent(place: Descriptor, limit: number, named: string): Promise<Content> {
  const file = await open(`/proc/self/fd/${place.fd}`, readFlags);
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new GuestError('refused', `${named} is not a regular file`);
    const chunks: Buffer[] = [];
    let length = 0;
    for (;;) {
      const chunk = Buffer.allocUnsafe(64 * 1024);
      const { bytesRead } = await file.read(chunk, 0, chunk.length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
      if (length > limit) throw new GuestError('exhausted', `${named} has more than ${limit} bytes`);
      chunks.push(chunk.subarray(0, bytesRead));
    }
    return { bytes: Buffer.concat(chunks), uid: stat.uid, gid: stat.gid, mode: stat.mode & 0o777 };
  } finally {
    await file.close();
  }
}

/** Returns at most the first bytes of a regular file, read in a thread. */
export async function readPrefix(place: Descriptor, length: number): Promise<Buffer> {
  const file = await open(`/proc/self/fd/${place.fd}`, readFlags);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
