import { Buffer } from 'node:buffer';
import { chmodSync, chownSync, fstatSync, opendirSync, readlinkSync, type Stats } from 'node:fs';
import { At, Open, Resolve } from '../syscalls/constants.js';
import { Descriptor } from './descriptor.js';
import { type RemoveOptions, removeTree } from './remove-tree.js';
import { asUnsafePath, pathComponents, UnsafePathError } from './safe-path.js';
import { hasCode, SyscallError } from '../syscalls/syscall-error.js';
import type { PathName } from '../syscalls/koffi.js';
import type { Syscalls } from '../syscalls/syscalls.js';
import { type TreeVisitor, TreeWalk } from './walk-tree.js';

export interface MakeOptions {
  /** Permission bits of each created directory, exactly: the umask does not apply. */
  readonly mode: number;
  /** Owner and group of each created directory; by default those of this process. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** Options for opening a base. */
export interface BaseOptions {
  /** Rejects paths that cross into another mount (RESOLVE_NO_XDEV). */
  readonly sameMount?: boolean;
}

/**
 * An open directory for access below it that cannot be diverted. Each path is relative and resolved by the kernel from
 * the open directory without following symbolic links, not even in the last component. If the tree changes between
 * check and use (TOCTOU), the operation fails or happens below the directory, never elsewhere (S9).
 *
 * Errors: `UnsafePathError` for a path that leaves the directory or contains a link, otherwise `SyscallError`.
 */
export class Directory {
  readonly #syscalls: Syscalls;
  readonly #descriptor: Descriptor;
  readonly #sameMount: boolean;

  private constructor(syscalls: Syscalls, fd: number, { sameMount = false }: BaseOptions) {
    this.#syscalls = syscalls;
    this.#descriptor = new Descriptor(syscalls, fd);
    this.#sameMount = sameMount;
  }

  /** Opens a base. The path is trusted and resolved as usual. */
  static open(syscalls: Syscalls, path: string, options: BaseOptions = {}): Directory {
    return new Directory(syscalls, syscalls.openat(At.Cwd, path, Open.Path | Open.Directory), options);
  }

  /** Wraps an open directory and takes ownership of the descriptor. */
  static of(syscalls: Syscalls, descriptor: Descriptor): Directory {
    return new Directory(syscalls, descriptor.take(), {});
  }

  /** A path to this directory that is valid while it is open, for calls that take only paths, such as mount(2). */
  get path(): string {
    return `/proc/self/fd/${this.#descriptor.fd}`;
  }

  /** Passes the descriptor to a new owner. */
  take(): number {
    return this.#descriptor.take();
  }

  close(): void {
    this.#descriptor.close();
  }

  /** Opens a directory below. `sameMount` applies to the result, whatever this directory has. ENOENT, ENOTDIR. */
  directory(path: string, { sameMount = false }: BaseOptions = {}): Directory {
    const names = pathComponents(path);
    return new Directory(this.#syscalls, this.#resolve(path, names), {
      sameMount: sameMount || this.#sameMount,
    });
  }

  /** Opens a file or directory below with O_PATH. A link is rejected. ENOENT, ENOTDIR. */
  place(path: string): Descriptor {
    const fd = this.#at(path, (parent, name) => this.#open(parent, name, Open.Path));
    return this.#checked(path, fd, (found) => (found.isSymbolicLink() ? 'is a symbolic link' : undefined));
  }

  /**
   * Opens with O_PATH what a path leads to; links are followed while they stay below this directory. ENOENT, ENOTDIR.
   * Linux 5.6.
   */
  reached(path: string): Descriptor {
    const resolve = Resolve.Beneath | Resolve.NoMagicLinks | (this.#sameMount ? Resolve.NoCrossDevice : 0);
    try {
      const names = pathComponents(path).join('/');
      return new Descriptor(
        this.#syscalls,
        this.#syscalls.openat2(this.#descriptor.fd, names, { flags: Open.Path, resolve }),
      );
    } catch (error) {
      throw asUnsafePath(path, error);
    }
  }

  /** The descriptor of this directory, which is closed with it. */
  get fd(): number {
    return this.#descriptor.fd;
  }

  /** Creates a directory below and missing parents. Existing directories are not changed. */
  makeDirectory(path: string, options: MakeOptions): Directory {
    const [first = '', ...rest] = pathComponents(path);
    let current = this.#makeOne(path, first, options);
    for (const name of rest) {
      const parent = current;
      try {
        current = parent.#makeOne(path, name, options);
      } finally {
        parent.close();
      }
    }
    return current;
  }

  /** Opens a regular file below. Flags: {@link Open}. Other types are rejected, and opening a FIFO does not block. */
  file(path: string, flags: number, mode = 0o600): Descriptor {
    const fd = this.#at(path, (parent, name) =>
      this.#open(parent, name, flags | Open.NonBlock | Open.NoTerminal, mode),
    );
    return this.#checked(path, fd, (found) => (found.isFile() ? undefined : 'is not a regular file'));
  }

  /** Returns the status of an entry without following a link; undefined when it does not exist. */
  stat(path: string): Stats | undefined {
    try {
      return this.#at(path, (parent, name) => {
        const found = new Descriptor(this.#syscalls, this.#open(parent, name, Open.Path));
        try {
          return fstatSync(found.fd);
        } finally {
          found.close();
        }
      });
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Returns the target of a link below. EINVAL when it is not a link. */
  readLink(path: string): string {
    return this.#at(path, (parent, name) => readlinkSync(`/proc/self/fd/${parent}/${name}`));
  }

  /**
   * Returns the first names in this directory, at most `limit`, as bytes, since they need not be UTF-8. The directory is read
   * piecewise, in the calling thread: the time does not depend on its size.
   */
  firstNamesHere(limit: number): readonly Buffer[] {
    const entries = opendirSync(this.path, { encoding: 'latin1', bufferSize: Math.max(limit, 1) });
    try {
      const names: Buffer[] = [];
      while (names.length < limit) {
        const entry = entries.readSync();
        if (entry === null) break;
        names.push(Buffer.from(entry.name, 'latin1'));
      }
      return names;
    } finally {
      entries.closeSync();
    }
  }

  /** Creates a symbolic link below. Any target is safe, since links are never followed here. */
  symlink(target: string, path: string): void {
    this.#at(path, (parent, name) => this.#syscalls.symlinkat(target, parent, name));
  }

  /** Creates a device node, FIFO or socket below; `mode` includes the type bits. */
  makeNode(path: string, mode: number, device: number): void {
    this.#at(path, (parent, name) => this.#syscalls.mknodat(parent, name, mode, device));
  }

  /** Changes owner and group of an entry; of a link itself, not of its target. */
  changeOwner(path: string, uid: number, gid: number): void {
    this.#at(path, (parent, name) => this.#syscalls.fchownat(parent, name, uid, gid, At.SymlinkNoFollow));
  }

  /** Changes owner and group of this directory. */
  changeOwnerOfSelf(uid: number, gid: number): void {
    chownSync(this.path, uid, gid);
  }

  /** Changes the permission bits of this directory. */
  changeMode(mode: number): void {
    chmodSync(this.path, mode);
  }

  /** Renames an entry to another path below this directory, replacing an existing entry. */
  rename(from: string, to: string): void {
    this.#at(from, (fromParent, fromName) =>
      this.#at(to, (toParent, toName) => this.#syscalls.renameat(fromParent, fromName, toParent, toName)),
    );
  }

  /** Removes an entry other than a directory. */
  unlink(path: string): void {
    this.#at(path, (parent, name) => this.#syscalls.unlinkat(parent, name, 0));
  }

  /** Removes an empty directory. */
  removeDirectory(path: string): void {
    this.#at(path, (parent, name) => this.#syscalls.unlinkat(parent, name, At.RemoveDirectory));
  }

  /**
   * Removes an entry and everything below it; a missing entry is not an error. Links are removed, not followed. Throws
   * EBUSY at a mount point, whose mount is not touched, and ETIMEDOUT when it takes too long. Yields to other work.
   */
  async removeTree(path: string, options?: RemoveOptions): Promise<void> {
    const names = [...pathComponents(path)];
    const name = names.pop() ?? '';
    let parent: Descriptor;
    try {
      parent =
        names.length === 0
          ? this.#descriptor.duplicate()
          : new Descriptor(this.#syscalls, this.#resolve(path, names));
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return;
      throw error;
    }
    await removeTree(this.#syscalls, path, parent, name, options);
  }

  /** Visits everything below, except mounts. Yields to other work. */
  walk(path: string, visitor: TreeVisitor): Promise<void> {
    return TreeWalk.run(this.#syscalls, this.#descriptor.duplicate(), visitor, { path, consumes: false });
  }

  #makeOne(path: string, name: string, { mode, owner }: MakeOptions): Directory {
    const made = this.#tryMake(path, name);
    const directory = this.directory(name);
    if (!made) return directory;
    try {
      // Owner first: chown(2) may clear mode bits.
      if (owner !== undefined) {
        const self = directory.#descriptor.fd;
        this.#syscalls.fchownat(self, '', owner.uid, owner.gid, At.EmptyPath);
      }
      directory.changeMode(mode);
    } catch (error) {
      directory.close();
      throw error;
    }
    return directory;
  }

  /** Returns false when the name exists already. The directory has no permissions until its owner and mode are set. */
  #tryMake(path: string, name: string): boolean {
    try {
      this.#syscalls.mkdirat(this.#descriptor.fd, name, 0o700);
      return true;
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false;
      throw asUnsafePath(path, error);
    }
  }

  /** Calls a function with the last component of a path and the directory that contains it. */
  #at<Result>(path: string, operation: (parent: number, name: string) => Result): Result {
    const names = [...pathComponents(path)];
    const name = names.pop() ?? '';
    const parent =
      names.length === 0 ? undefined : new Descriptor(this.#syscalls, this.#resolve(path, names));
    try {
      return operation(parent?.fd ?? this.#descriptor.fd, name);
    } catch (error) {
      throw asUnsafePath(path, error);
    } finally {
      parent?.close();
    }
  }

  /** Opens the directory with these components: by one openat2(2), or component by component where that is missing. */
  #resolve(path: string, names: readonly string[]): number {
    try {
      return this.#syscalls.openat2(this.#descriptor.fd, names.join('/'), {
        flags: Open.Path | Open.Directory,
        resolve: this.#resolveFlags(),
      });
    } catch (error) {
      if (!hasCode(error, 'ENOSYS') || this.#sameMount) throw asUnsafePath(path, error);
    }
    return this.#walk(path, names);
  }

  /** The same for kernels before 5.6. */
  #walk(path: string, names: readonly string[]): number {
    let current = this.#descriptor;
    for (const name of names) {
      const parent = current;
      try {
        current = new Descriptor(this.#syscalls, this.#open(parent.fd, name, Open.Path));
      } finally {
        if (parent !== this.#descriptor) parent.close();
      }
      const found = fstatSync(current.fd);
      if (found.isDirectory()) continue;
      current.close();
      if (found.isSymbolicLink()) throw asUnsafePath(path, SyscallError.named('openat', 'ELOOP', name));
      throw SyscallError.named('openat', 'ENOTDIR', path);
    }
    return current.take();
  }

  /** Returns the descriptor, or closes it and throws when its file is rejected. */
  #checked(path: string, fd: number, refusal: (found: Stats) => string | undefined): Descriptor {
    const descriptor = new Descriptor(this.#syscalls, fd);
    try {
      const reason = refusal(fstatSync(fd));
      if (reason !== undefined) throw new UnsafePathError(path, reason);
      return descriptor;
    } catch (error) {
      descriptor.close();
      throw error;
    }
  }

  #resolveFlags(): number {
    const flags = Resolve.Beneath | Resolve.NoSymlinks | Resolve.NoMagicLinks;
    return this.#sameMount ? flags | Resolve.NoCrossDevice : flags;
  }

  /** Opens one component; a link is not followed. */
  #open(parent: number, name: PathName, flags: number, mode?: number): number {
    if (this.#sameMount) {
      // openat2(2) rejects a mode without O_CREAT.
      const made = (flags & Open.Create) === 0 ? {} : { mode: mode ?? 0 };
      const resolve = Resolve.Beneath | Resolve.NoMagicLinks | Resolve.NoCrossDevice;
      return this.#syscalls.openat2(parent, name, { flags: flags | Open.NoFollow, ...made, resolve });
    }
    return this.#syscalls.openat(parent, name, flags | Open.NoFollow, mode);
  }
}
