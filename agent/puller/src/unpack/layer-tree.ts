import { fchmodSync, fchownSync, fstatSync, writeSync } from 'node:fs';
import { At, hasCode, Open, Resolve, type Syscalls } from '@kata-agent/linux';
import type { Budget } from './budget.js';
import type { EntryName, LayerEntry, LeafEntry, Metadata } from './layer-entry.js';
import { LayerError, quoted } from './layer-error.js';
import { ParentDirectories } from './parent-directories.js';

/** Each level holds a descriptor. Links let layers build trees that are deeper than any of their names. */
const levelsAtMost = 400;
const fifoType = 0o010000;
/** Of a single component: never a link, never another mount. */
const exact: number = Resolve.Beneath | Resolve.NoSymlinks | Resolve.NoMagicLinks | Resolve.NoCrossDevice;
const newFile: number = Open.WriteOnly | Open.Create | Open.Exclusive | Open.NoFollow;

/**
 * A root file system that layers are applied to, one after the other. Everything is reached from the descriptor of the
 * root: parents as in a container (a link of an earlier layer is followed, but never out of the root), the last component
 * never through a link. An existing file is replaced, never written to.
 */
export class LayerTree {
  readonly #syscalls: Syscalls;
  readonly #budget: Budget;
  readonly #parents: ParentDirectories;
  /** Names that this layer has created, and their parents: its whiteouts do not apply to them. */
  #created = new Set<string>();
  /** Names that this layer has given and that are not directories. */
  #leaves = new Set<string>();
  /** Times of directories, set when nothing more is put into them. */
  #times = new Map<string, { readonly name: EntryName; readonly time: Metadata['modified'] }>();
  #file:
    | { readonly fd: number; readonly parent: number; readonly entry: Extract<LayerEntry, { kind: 'file' }> }
    | undefined;

  /** `root` stays open, and the caller's. */
  constructor(syscalls: Syscalls, root: number, budget: Budget) {
    this.#syscalls = syscalls;
    this.#budget = budget;
    this.#parents = new ParentDirectories(syscalls, root, (name) => {
      budget.entry(name.join('/').length);
      this.#remember(name);
    });
  }

  beginLayer(): void {
    this.#created = new Set();
    this.#leaves = new Set();
    this.#times = new Map();
  }

  /** Applies an entry; a file's content follows with `write` and `closeFile`. */
  apply(entry: LayerEntry): void {
    switch (entry.kind) {
      case 'directory':
        return this.#directory(entry.name, entry.metadata);
      case 'whiteout':
      case 'opaque':
        return this.#remove(entry.name, entry.kind);
      case 'file':
      case 'symlink':
      case 'hard-link':
      case 'fifo':
        return this.#leaf(entry);
    }
  }

  write(chunk: Uint8Array): void {
    const fd = this.#file?.fd;
    if (fd === undefined) throw new Error('no file is open');
    for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done, chunk.length - done);
  }

  closeFile(): void {
    if (this.#file === undefined) return;
    const { fd, parent, entry } = this.#file;
    this.#setMetadata(fd, entry.metadata);
    this.#setTime(parent, lastOf(entry.name), entry.metadata);
    this.#file = undefined;
    this.#syscalls.close(fd);
  }

  endLayer(): void {
    for (const { name, time } of [...this.#times.values()].reverse()) {
      const parent = this.#parents.open(name.slice(0, -1));
      const last = name.length === 0 ? '.' : lastOf(name);
      try {
        this.#syscalls.utimensat(parent, last, time, At.SymlinkNoFollow);
      } catch (error) {
        if (!hasCode(error, 'ENOENT')) throw error;
        throw new LayerError(
          'parent',
          `${quoted(Buffer.from(name.join('/'), 'latin1'))} has replaced a link through which its own name leads\nhelp: do not use this image`,
          { cause: error },
        );
      }
    }
  }

  close(): void {
    if (this.#file !== undefined) this.#syscalls.close(this.#file.fd);
    this.#file = undefined;
    this.#parents.close();
  }

  #remember(name: EntryName): void {
    for (let length = name.length; length > 0; length--) {
      const path = name.slice(0, length).join('/');
      if (this.#created.has(path)) return;
      this.#created.add(path);
    }
  }

  #leaf(entry: LeafEntry): void {
    const path = entry.name.join('/');
    if (this.#created.has(path)) throw duplicate(entry.name);
    const parent = this.#parents.open(entry.name.slice(0, -1));
    const create = (): void => this.#create(entry, parent);
    try {
      create();
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      this.#removeName(parent, entry.name);
      create();
    }
    this.#remember(entry.name);
    this.#leaves.add(path);
  }

  #create(entry: LeafEntry, parent: number): void {
    const name = lastOf(entry.name);
    switch (entry.kind) {
      case 'file': {
        const how = { flags: newFile, mode: 0o600, resolve: exact };
        this.#file = { fd: this.#syscalls.openat2(parent, name, how), parent, entry };
        return;
      }
      case 'symlink': {
        this.#syscalls.symlinkat(entry.target, parent, name);
        const { uid, gid } = entry.metadata;
        this.#syscalls.fchownat(parent, name, uid, gid, At.SymlinkNoFollow);
        this.#setTime(parent, name, entry.metadata);
        return;
      }
      case 'fifo': {
        this.#syscalls.mknodat(parent, name, fifoType | 0o600, 0);
        // Without blocking: nothing else has it open.
        this.#within(parent, name, Open.ReadOnly | Open.NonBlock | Open.NoFollow, (fd) =>
          this.#setMetadata(fd, entry.metadata),
        );
        this.#setTime(parent, name, entry.metadata);
        return;
      }
      case 'hard-link':
        return this.#hardLink(entry, parent, name);
    }
  }

  /** The target is a regular file that exists: not a link, through which a later entry could be diverted. */
  #hardLink(entry: Extract<LayerEntry, { kind: 'hard-link' }>, parent: number, name: Buffer): void {
    const refuse = (reason: string, cause?: unknown): never => {
      throw new LayerError(
        'hard-link',
        `${quoted(entry.name.join('/'))} is a hard link to ${quoted(entry.target.join('/'))}, ${reason}\nhelp: do not use this image`,
        { cause },
      );
    };
    const target = lastOf(entry.target);
    const from = this.#parents.find(entry.target.slice(0, -1)) ?? refuse('which does not exist');
    try {
      this.#within(from, target, Open.Path | Open.NoFollow, (fd) => {
        if (!fstatSync(fd).isFile()) refuse('which is not a regular file');
      });
      this.#syscalls.linkat(from, target, parent, name, 0);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) refuse('which does not exist', error);
      throw error;
    }
  }

  #directory(name: EntryName, metadata: Metadata): void {
    const path = name.join('/');
    if (this.#leaves.has(path)) throw duplicate(name);
    const parent = this.#parents.open(name.slice(0, -1));
    const last = name.length === 0 ? Buffer.from('.') : lastOf(name);
    if (name.length > 0) this.#makeDirectory(parent, name);
    this.#within(parent, last, Open.ReadOnly | Open.Directory | Open.NoFollow, (fd) =>
      this.#setMetadata(fd, metadata),
    );
    this.#remember(name);
    this.#times.delete(path);
    this.#times.set(path, { name, time: metadata.modified });
  }

  /** An existing directory is kept, with its content; anything else of the name is replaced. */
  #makeDirectory(parent: number, name: EntryName): void {
    const last = lastOf(name);
    try {
      this.#syscalls.mkdirat(parent, last, 0o700);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      let isDirectory = false;
      this.#within(parent, last, Open.Path | Open.NoFollow, (fd) => {
        isDirectory = fstatSync(fd).isDirectory();
      });
      if (isDirectory) return;
      // An earlier entry of this layer lies where the link leads, and would not be in the directory.
      if (this.#created.has(name.join('/')))
        throw new LayerError(
          'parent',
          `${quoted(Buffer.from(name.join('/'), 'latin1'))} is a directory in place of a link through which the layer has an earlier entry\nhelp: build the image again`,
        );
      this.#removeName(parent, name);
      this.#syscalls.mkdirat(parent, last, 0o700);
    }
  }

  #remove(name: EntryName, kind: 'whiteout' | 'opaque'): void {
    const parent = this.#parents.find(kind === 'opaque' ? name : name.slice(0, -1));
    if (parent === undefined) return;
    if (kind === 'whiteout') return this.#removeName(parent, name);
    this.#within(parent, Buffer.from('.'), Open.ReadOnly | Open.Directory, (fd) => {
      for (const child of this.#syscalls.readDirectory(fd)) {
        this.#removeName(parent, [...name, Buffer.from(child).toString('latin1')]);
      }
    });
  }

  /** Removes what has the name, but nothing that this layer has created. */
  #removeName(parent: number, name: EntryName): void {
    // A removed link or directory may have been part of the way to others.
    this.#parents.forget(parent);
    removeBelow(this.#syscalls, parent, name, {
      keep: (path) => this.#created.has(path),
      tick: () => this.#budget.time(),
    });
  }

  #setMetadata(fd: number, { uid, gid, mode, attributes }: Metadata): void {
    // Owner first: chown clears setuid, setgid and capabilities.
    fchownSync(fd, uid, gid);
    fchmodSync(fd, mode);
    for (const [name, value] of attributes) {
      try {
        this.#syscalls.fsetxattr(fd, name, value);
      } catch (error) {
        // A tmpfs has user.* since Linux 6.6; a program that is missing its capabilities would fail later.
        if (name === 'security.capability' || !hasCode(error, 'ENOTSUP', 'EOPNOTSUPP')) throw error;
      }
    }
  }

  #setTime(parent: number, name: Buffer, { modified }: Metadata): void {
    this.#syscalls.utimensat(parent, name, modified, At.SymlinkNoFollow);
  }

  #within(parent: number, name: Buffer, flags: number, use: (fd: number) => void): void {
    const fd = this.#syscalls.openat2(parent, name, { flags, resolve: exact });
    try {
      use(fd);
    } finally {
      this.#syscalls.close(fd);
    }
  }
}

function lastOf(name: EntryName): Buffer {
  return Buffer.from(name.at(-1) ?? '', 'latin1');
}

function duplicate(name: EntryName): LayerError {
  return new LayerError(
    'duplicate',
    `the layer has two entries ${quoted(Buffer.from(name.join('/'), 'latin1'))}\nhelp: build the image again`,
  );
}

interface RemoveBelowOptions {
  /** Reports whether a name, as a path below the root, stays. */
  readonly keep: (path: string) => boolean;
  /** Called for each name; throws if time is up. */
  readonly tick: () => void;
}

/** Removes a name in an open directory with everything below it, by descriptors. A missing name is no error. */
function removeBelow(
  syscalls: Syscalls,
  parent: number,
  name: EntryName,
  options: RemoveBelowOptions,
  level = 0,
): void {
  const path = name.join('/');
  const last = Buffer.from(name.at(-1) ?? '', 'latin1');
  options.tick();
  if (level > levelsAtMost)
    throw new LayerError('limit', `a directory to remove has more than ${levelsAtMost} levels`);
  let fd: number;
  try {
    fd = syscalls.openat2(parent, last, {
      flags: Open.ReadOnly | Open.Directory | Open.NoFollow,
      resolve: exact,
    });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    // ELOOP: a symbolic link, which is removed itself.
    if (!hasCode(error, 'ENOTDIR', 'ELOOP')) throw error;
    if (!options.keep(path)) syscalls.unlinkat(parent, last, 0);
    return;
  }
  try {
    for (const child of syscalls.readDirectory(fd)) {
      const below = [...name, Buffer.from(child).toString('latin1')];
      removeBelow(syscalls, fd, below, options, level + 1);
    }
  } finally {
    syscalls.close(fd);
  }
  if (!options.keep(path)) syscalls.unlinkat(parent, last, At.RemoveDirectory);
}
