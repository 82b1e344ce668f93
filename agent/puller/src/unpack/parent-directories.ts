import { fchmodSync, fchownSync } from 'node:fs';
import { hasCode, Open, Resolve, type Syscalls } from '@kata-agent/linux';
import type { EntryName } from './layer-entry.js';
import { LayerError, quoted } from './layer-error.js';

/** As in a container: links are followed, absolute ones and `..` from the root, so that no link leads out of it. */
const inRoot: number = Resolve.InRoot | Resolve.NoMagicLinks | Resolve.NoCrossDevice;
const exact: number = Resolve.Beneath | Resolve.NoSymlinks | Resolve.NoMagicLinks | Resolve.NoCrossDevice;
/** Descriptors that stay open: entries of one directory usually follow one another. */
const openAtMost = 256;
const missingMode = 0o755;

/**
 * The directories that entries are put into, as descriptors. Those used last stay open: a name is resolved once, until
 * something is removed.
 */
export class ParentDirectories {
  readonly #syscalls: Syscalls;
  readonly #root: number;
  readonly #created: (name: EntryName) => void;
  readonly #open = new Map<string, number>();
  #retired: number | undefined;

  /** `created` is called before a missing directory is created. */
  constructor(syscalls: Syscalls, root: number, created: (name: EntryName) => void) {
    this.#syscalls = syscalls;
    this.#root = root;
    this.#created = created;
  }

  /** Returns a descriptor of the directory; creates what is missing. It is valid for the entry in hand. */
  open(name: EntryName): number {
    return this.find(name) ?? this.#make(name);
  }

  /** Returns a descriptor of the directory, or undefined if there is none. */
  find(name: EntryName): number | undefined {
    if (name.length === 0) return this.#root;
    const path = name.join('/');
    const known = this.#open.get(path);
    if (known !== undefined) {
      this.#open.delete(path);
      this.#open.set(path, known);
      return known;
    }
    const how = { flags: Open.Path | Open.Directory, resolve: inRoot };
    try {
      const fd = this.#syscalls.openat2(this.#root, Buffer.from(path, 'latin1'), how);
      return this.#keep(path, fd);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      if (hasCode(error, 'ENOTDIR', 'ELOOP', 'EXDEV'))
        throw new LayerError('parent', `${printed(name)} is no directory\nhelp: do not use this image`, {
          cause: error,
        });
      throw error;
    }
  }

  /**
   * Closes all descriptors, because something is removed. That of the entry in hand stays open until the next entry that
   * removes something.
   */
  forget(current: number): void {
    for (const fd of this.#open.values()) if (fd !== current) this.#syscalls.close(fd);
    this.#open.clear();
    this.#retire(current === this.#root ? undefined : current);
  }

  close(): void {
    for (const fd of this.#open.values()) this.#syscalls.close(fd);
    this.#open.clear();
    this.#retire(undefined);
  }

  #retire(fd: number | undefined): void {
    if (this.#retired !== undefined && this.#retired !== fd) this.#syscalls.close(this.#retired);
    this.#retired = fd;
  }

  #make(name: EntryName): number {
    const parent = this.open(name.slice(0, -1));
    this.#created(name);
    const last = Buffer.from(name.at(-1) ?? '', 'latin1');
    try {
      this.#syscalls.mkdirat(parent, last, missingMode);
    } catch (error) {
      // The name exists, but leads nowhere.
      if (hasCode(error, 'EEXIST'))
        throw new LayerError(
          'parent',
          `${printed(name)} is a symbolic link to nothing, so nothing can be put into it\nhelp: build the image again`,
        );
      throw error;
    }
    const how = { flags: Open.ReadOnly | Open.Directory | Open.NoFollow, resolve: exact };
    const fd = this.#keep(name.join('/'), this.#syscalls.openat2(parent, last, how));
    fchownSync(fd, 0, 0);
    fchmodSync(fd, missingMode);
    return fd;
  }

  #keep(path: string, fd: number): number {
    if (this.#open.size >= openAtMost) {
      const [oldest] = this.#open;
      if (oldest !== undefined) {
        this.#open.delete(oldest[0]);
        this.#syscalls.close(oldest[1]);
      }
    }
    this.#open.set(path, fd);
    return fd;
  }
}

function printed(name: EntryName): string {
  return quoted(Buffer.from(name.join('/'), 'latin1'));
}
