import { Buffer } from 'node:buffer';
import { chmodSync, fstatSync, readlinkSync, type Stats } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { At, Open, Resolve } from './constants.js';
import { Descriptor } from './descriptor.js';
import { type RemoveOptions, removeTree } from './remove-tree.js';
import { asUnsafePath, pathComponents, UnsafePathError } from './safe-path.js';
import { hasCode, SyscallError } from './syscall-error.js';
import type { PathName, Syscalls } from './syscalls.js';
import { type TreeVisitor, TreeWalk } from './walk-tree.js';

export interface MakeOptions {
  /** Permission bits of each directory that is made, exactly: the umask takes none away. */
  readonly mode: number;
  /** Owner and group of each directory that is made; absent: this process's. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** How a base is opened. */
export interface BaseOptions {
  /** Nothing below it is reached through another mount than the one that it lies in (RESOLVE_NO_XDEV). */
  readonly sameMount?: boolean;
}

/**
 * A directory held open, and a way to everything below it that nothing can divert: each path is relative, resolved by
 * the kernel from the open directory without following any symbolic link, not even at its end. Between a look and the
 * deed somebody may change the tree below; the deed then fails or happens below, never elsewhere (S9).
 *
 * Errors: `UnsafePathError` for a path that would lead out or through a link, `SyscallError` for the rest.
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

  /** Opens a base. This path is the agent's own, trusted, and resolved as usual. */
  static open(syscalls: Syscalls, path: string, options: BaseOptions = {}): Directory {
    return new Directory(syscalls, syscalls.openat(At.Cwd, path, Open.Path | Open.Directory), options);
  }

  /** A directory that is open already, and belongs to this object from now on. */
  static of(syscalls: Syscalls, descriptor: Descriptor): Directory {
    return new Directory(syscalls, descriptor.take(), {});
  }

  /** A path to this directory that holds as long as it is open, for calls that take paths only, such as mount(2). */
  get path(): string {
    return `/proc/self/fd/${this.#descriptor.fd}`;
  }

  close(): void {
    this.#descriptor.close();
  }

  /** A directory below. With `sameMount` it is a base of that kind, whatever this one is. ENOENT, ENOTDIR. */
  directory(path: string, { sameMount = false }: BaseOptions = {}): Directory {
    const names = pathComponents(path);
    return new Directory(this.#syscalls, this.#resolve(path, names), {
      sameMount: sameMount || this.#sameMount,
    });
  }

  /** What is below, file or directory, opened for its name alone (O_PATH). A link is refused. ENOENT, ENOTDIR. */
  place(path: string): Descriptor {
    const fd = this.#at(path, (parent, name) => this.#open(parent, name, Open.Path));
    return this.#checked(path, fd, (found) => (found.isSymbolicLink() ? 'is a symbolic link' : undefined));
  }

  /**
   * What a path leads to, opened for its name alone (O_PATH): links are followed as long as they stay below this directory.
   * ENOENT, ENOTDIR. Linux 5.6.
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

  /** This directory itself, for calls that take a descriptor. It is closed with the directory. */
  get fd(): number {
    return this.#descriptor.fd;
  }

  /** A directory below, made with its parents where they are missing. What exists stays as it is. */
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

  /**
   * A regular file below. Flags: {@link Open}. Anything else that has the name is refused, and opening it does not wait,
   * as opening a FIFO would.
   */
  file(path: string, flags: number, mode = 0o600): Descriptor {
    const fd = this.#at(path, (parent, name) =>
      this.#open(parent, name, flags | Open.NonBlock | Open.NoTerminal, mode),
    );
    return this.#checked(path, fd, (found) => (found.isFile() ? undefined : 'is not a regular file'));
  }

  /** What is there, a link itself and not its target; undefined when nothing is. */
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

  /** Where a link below points. EINVAL when it is none. */
  readLink(path: string): string {
    return this.#at(path, (parent, name) => readlinkSync(`/proc/self/fd/${parent}/${name}`));
  }

  /**
   * The first names in this directory, no more than `limit`, as bytes: they need not be UTF-8. They are read piecewise and in a thread: a directory
   * with a million names takes no longer than any other, and nothing waits for a slow file system.
   */
  async firstNames(limit: number): Promise<readonly Buffer[]> {
    const entries = await opendir(this.path, { encoding: 'latin1', bufferSize: Math.max(limit, 1) });
    try {
      const names: Buffer[] = [];
      while (names.length < limit) {
        const entry = await entries.read();
        if (entry === null) break;
        names.push(Buffer.from(entry.name, 'latin1'));
      }
      return names;
    } finally {
      await entries.close();
    }
  }

  /** A symbolic link below. Its target may be anything, for nothing here ever follows it. */
  symlink(target: string, path: string): void {
    this.#at(path, (parent, name) => this.#syscalls.symlinkat(target, parent, name));
  }

  /** A device node, FIFO or socket below; mode holds the type's bits. */
  makeNode(path: string, mode: number, device: number): void {
    this.#at(path, (parent, name) => this.#syscalls.mknodat(parent, name, mode, device));
  }

  /** Owner and group of what is there, of a link itself and not of its target. */
  changeOwner(path: string, uid: number, gid: number): void {
    this.#at(path, (parent, name) => this.#syscalls.fchownat(parent, name, uid, gid, At.SymlinkNoFollow));
  }

  /** Permission bits of this directory itself. */
  changeMode(mode: number): void {
    chmodSync(this.path, mode);
  }

  /** Moves what is at one path to another below this directory, over what is there. */
  rename(from: string, to: string): void {
    this.#at(from, (fromParent, fromName) =>
      this.#at(to, (toParent, toName) => this.#syscalls.renameat(fromParent, fromName, toParent, toName)),
    );
  }

  /** Removes anything but a directory. */
  unlink(path: string): void {
    this.#at(path, (parent, name) => this.#syscalls.unlinkat(parent, name, 0));
  }

  /** Removes an empty directory. */
  removeDirectory(path: string): void {
    this.#at(path, (parent, name) => this.#syscalls.unlinkat(parent, name, At.RemoveDirectory));
  }

  /**
   * Removes what is there and all below it; nothing when nothing is. Links are removed, not followed. Throws EBUSY at
   * something mounted there or below, and touches nothing in that mount; ETIMEDOUT when it takes too long. Other work has
   * its turn meanwhile.
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

  /** Shows a visitor all that is below, but for what is mounted there. Other work has its turn meanwhile. */
  walk(path: string, visitor: TreeVisitor): Promise<void> {
    return TreeWalk.run(this.#syscalls, this.#descriptor.duplicate(), visitor, { path, consumes: false });
  }

  #makeOne(path: string, name: string, { mode, owner }: MakeOptions): Directory {
    const made = this.#tryMake(path, name);
    const directory = this.directory(name);
    if (!made) return directory;
    try {
      // Owner first: changing it may take bits of the mode away.
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

  /** False when something has that name already. It is made without rights, until it has its owner and mode. */
  #tryMake(path: string, name: string): boolean {
    try {
      this.#syscalls.mkdirat(this.#descriptor.fd, name, 0o700);
      return true;
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false;
      throw asUnsafePath(path, error);
    }
  }

  /** Does something with the last name of a path in the directory that holds it. */
  #at<Result>(path: string, deed: (parent: number, name: string) => Result): Result {
    const names = [...pathComponents(path)];
    const name = names.pop() ?? '';
    const parent =
      names.length === 0 ? undefined : new Descriptor(this.#syscalls, this.#resolve(path, names));
    try {
      return deed(parent?.fd ?? this.#descriptor.fd, name);
    } catch (error) {
      throw asUnsafePath(path, error);
    } finally {
      parent?.close();
    }
  }

  /** The directory of these names: one openat2(2) for the whole way, one name after the other where there is none. */
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

  /** The same on kernels before 5.6. */
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

  /** The descriptor, which is closed when what it names is refused. */
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

  /** One name, not followed when it is a link. */
  #open(parent: number, name: PathName, flags: number, mode?: number): number {
    if (this.#sameMount) {
      // openat2(2) refuses a mode where nothing is made.
      const made = (flags & Open.Create) === 0 ? {} : { mode: mode ?? 0 };
      const resolve = Resolve.Beneath | Resolve.NoMagicLinks | Resolve.NoCrossDevice;
      return this.#syscalls.openat2(parent, name, { flags: flags | Open.NoFollow, ...made, resolve });
    }
    return this.#syscalls.openat(parent, name, flags | Open.NoFollow, mode);
  }
}
