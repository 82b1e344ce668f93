import { fchmodSync, fchownSync, mkdirSync, rmdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Descriptor, Directory, mount, Open, type Syscalls } from '@kata-agent/linux';
import type { UndoStack } from '../undo-stack.js';
import { unmount } from '../removal/unmount.js';
import type { Content } from './read-content.js';

interface Parts {
  /** A directory of the agent; created with the first copy. */
  readonly directory: string;
  readonly syscalls: Syscalls;
  readonly made: UndoStack;
}

/**
 * Copies of sources of a container in memory, each on a tmpfs of its own: the host, which may share the source, neither reads nor
 * changes them, a container that writes to one fills no directory of the agent, and removing the container removes them.
 */
export class MemoryCopies {
  readonly #parts: Parts;
  #count = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Makes a copy, and returns a descriptor with O_PATH.
   *
   * @param size of the tmpfs, as its mount option
   * @param fill writes the copy, and returns the name of the file in it that is the source; undefined: the directory itself
   */
  async add(size: string, fill: (copy: Directory) => Promise<string | undefined>): Promise<Descriptor> {
    const { directory, syscalls, made } = this.#parts;
    if (this.#count === 0) {
      mkdirSync(directory, { mode: 0o700 });
      made.push(`directory ${directory}`, () => rmdirSync(directory));
    }
    this.#count += 1;
    const name = String(this.#count);
    const place = join(directory, name);
    mkdirSync(place, { mode: 0o700 });
    made.push(`directory ${place}`, () => rmdirSync(place));
    const options = ['nosuid', 'nodev', 'noexec', 'mode=755', `size=${size}`];
    mount(syscalls, { source: 'tmpfs', target: place, type: 'tmpfs', options });
    made.push(`mount at ${place}`, () => unmount(place, syscalls));
    const copy = Directory.open(syscalls, place);
    try {
      const file = await fill(copy);
      if (file !== undefined) return copy.place(file);
    } finally {
      copy.close();
    }
    const parent = Directory.open(syscalls, directory);
    try {
      return parent.place(name);
    } finally {
      parent.close();
    }
  }
}

/** Writes a new file of a directory of the agent. */
export function writeContent(directory: Directory, name: string, { bytes, uid, gid, mode }: Content): void {
  const file = directory.file(name, Open.WriteOnly | Open.Create | Open.Exclusive, 0o600);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file.fd, bytes, at);
    fchownSync(file.fd, uid, gid);
    fchmodSync(file.fd, mode);
  } finally {
    file.close();
  }
}
