import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import type { Descriptor } from '@kata-agent/linux';
import { type FileState, stateOf } from './mirror.js';
import { kataLimits, type MirrorLimits } from './mirror-limits.js';
import { TooLargeToMirror } from '../../error/guest-error.js';

declare module '../../media/host-media.js' {
  interface MediaTasks {
    /** Lent: the source, the copy. */
    readonly mirrorFile: (args: {
      readonly known: FileState | undefined;
      readonly limits: MirrorLimits;
    }) => FileState | undefined;
  }
}

/**
 * Keeps a file in sync with another one. The copy is written in place, as by Kata's agent: a container has a bind mount of
 * it, which a rename would not change.
 */
export class MirroredFile {
  readonly #from: Descriptor;
  readonly #to: Descriptor;
  #known: FileState | undefined;

  /** `from`: open with O_PATH; `to`: open for writing; `known`: the state of an earlier update. */
  constructor(from: Descriptor, to: Descriptor, known?: FileState) {
    this.#from = from;
    this.#to = to;
    this.#known = known;
  }

  /** The state after the last update. */
  get known(): FileState | undefined {
    return this.#known;
  }

  get isLarge(): boolean {
    return (this.#known?.size ?? 0) > kataLimits.bytes;
  }

  /**
   * Copies the file if it has changed. Throws TooLargeToMirror.
   *
   * @param commit is called before the copy is changed, and throws if the update has been given up
   */
  update(limits: MirrorLimits, commit: () => void): void {
    const now = fstatSync(this.#from.fd);
    if (now.size > limits.bytes) throw new TooLargeToMirror(`more than ${limits.bytes} bytes`);
    const names = ['mtimeMs', 'ctimeMs', 'size', 'mode', 'uid', 'gid'] as const;
    if (names.every((name) => this.#known?.[name] === now[name])) return;
    const data = read(this.#from.fd, now.size);
    const { fd } = this.#to;
    commit();
    for (let written = 0; written < data.length; )
      written += writeSync(fd, data, written, undefined, written);
    ftruncateSync(fd, data.length);
    fchownSync(fd, now.uid, now.gid);
    fchmodSync(fd, now.mode & 0o7777);
    this.#known = stateOf(now);
  }
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
