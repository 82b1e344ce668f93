import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  type Stats,
  writeSync,
} from 'node:fs';
import type { Descriptor } from '@kata-agent/linux';
import { kataLimits, type MirrorLimits, TooLargeToMirror } from './mirror-limits.js';

/**
 * Keeps a file in sync with another one. The copy is written in place, as by Kata's agent: a container has a bind mount of
 * it, which a rename would not change.
 */
export class MirroredFile {
  readonly #from: Descriptor;
  readonly #to: Descriptor;
  #known: Stats | undefined;

  /** `from`: open with O_PATH; `to`: open for writing. */
  constructor(from: Descriptor, to: Descriptor) {
    this.#from = from;
    this.#to = to;
  }

  get isLarge(): boolean {
    return (this.#known?.size ?? 0) > kataLimits.bytes;
  }

  /** Copies the file if it has changed. Throws TooLargeToMirror. */
  async update(limits: MirrorLimits): Promise<void> {
    const now = fstatSync(this.#from.fd);
    if (now.size > limits.bytes) throw new TooLargeToMirror(`more than ${limits.bytes} bytes`);
    const names = ['mtimeMs', 'ctimeMs', 'size', 'mode', 'uid', 'gid'] as const;
    if (names.every((name) => this.#known?.[name] === now[name])) return;
    const data = read(this.#from.fd, now.size);
    const { fd } = this.#to;
    for (let written = 0; written < data.length; )
      written += writeSync(fd, data, written, undefined, written);
    ftruncateSync(fd, data.length);
    fchownSync(fd, now.uid, now.gid);
    fchmodSync(fd, now.mode & 0o7777);
    this.#known = now;
  }
}

/** A FIFO would block its reader, and other types have no content to copy. */
export function isRegularFile(place: Descriptor): boolean {
  return fstatSync(place.fd).isFile();
}

/** Reads at most this many bytes: a file that grows meanwhile is copied at the next update. */
function read(place: number, size: number): Buffer {
  const buffer = Buffer.alloc(size);
  const fd = openSync(`/proc/self/fd/${place}`, 'r');
  try {
    let length = 0;
    for (let more = -1; more !== 0 && length < size; length += more)
      more = readSync(fd, buffer, length, size - length, length);
    return buffer.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}
