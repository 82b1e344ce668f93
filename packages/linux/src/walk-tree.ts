import { fstatSync, opendirSync, readFileSync } from 'node:fs';
import { Open, Resolve } from './constants.js';
import { Descriptor } from './descriptor.js';
import { Pace } from './pace.js';
import { UnsafePathError } from './safe-path.js';
import { hasCode, SyscallError } from './syscall-error.js';
import type { PathName, Syscalls } from './syscalls.js';

/** What a walk does with what it finds. A directory that it is given is open for the time of the call only. */
export interface TreeVisitor {
  /** For each name in a directory: whether it is a directory that is walked too. */
  enter(directory: Descriptor, name: PathName): boolean | Promise<boolean>;
  /** For each directory whose content was walked. Absent: nothing. */
  finish?(directory: Descriptor): void;
  /** Then, from the directory above: false to walk it again, since there is something in it by now. */
  leave?(parent: Descriptor, name: PathName): boolean;
  /** For a directory in which something else is mounted, which a walk never enters. */
  mounted(path: string): void;
}

export interface WalkOptions {
  /** For messages. */
  readonly path: string;
  /** What is walked in the directory; absent: all that is in it. */
  readonly names?: readonly PathName[];
  /** What was visited is gone, so that the rest is found by listing a directory again. */
  readonly consumes: boolean;
  /** Aborted, the walk ends with its reason before the next slice. */
  readonly signal?: AbortSignal | undefined;
}

/** More names of directories are not held at a time, on all levels together: a few dozen megabytes. */
const maxHeldNames = 1 << 18;

/** A directory in which something new is found as often as this is one that somebody fills. */
const maxPasses = 32;

/** Node takes it as it does for `readdir`; its types do not say so. */
const asBytes = 'buffer' as BufferEncoding;

interface Identity {
  readonly device: bigint;
  readonly inode: bigint;
  /** An inode's number may be another one's later: the time of its birth is not. */
  readonly birth: bigint;
}

/** A directory on the way down. */
interface Level extends Identity {
  readonly name: PathName;
  /** Directories in it that are still to be walked. */
  readonly left: PathName[];
  /** Not all that is in it is in `left`, or was visited. */
  unlisted: boolean;
  /** How often it was walked before, and somebody had put something into it since. */
  readonly passes: number;
}

/**
 * Walks what is in an open directory, which it owns from now on, in slices (`Pace`). A container's owner made this tree,
 * and may change it meanwhile: it may be deeper than any path is long or than we may hold descriptors open, and hold names
 * that are no UTF-8. So only the present level is open; the way down takes one name, no link and no mount; the way up is
 * `..`, which must be the directory that we came from. UnsafePathError when it is not.
 */
export class TreeWalk {
  readonly #syscalls: Syscalls;
  readonly #visitor: TreeVisitor;
  readonly #options: WalkOptions;
  readonly #pace: Pace = new Pace();
  readonly #levels: Level[] = [];
  #mount = '';
  #current: Descriptor;
  #held = 0;
  /** How often the directory that is next was walked before. */
  #passes = 0;

  private constructor(syscalls: Syscalls, directory: Descriptor, visitor: TreeVisitor, options: WalkOptions) {
    this.#syscalls = syscalls;
    this.#current = directory;
    this.#visitor = visitor;
    this.#options = options;
  }

  static async run(
    syscalls: Syscalls,
    directory: Descriptor,
    visitor: TreeVisitor,
    options: WalkOptions,
  ): Promise<void> {
    const walk = new TreeWalk(syscalls, directory, visitor, options);
    try {
      await walk.#all();
    } finally {
      walk.#current.close();
    }
  }

  async #all(): Promise<void> {
    const { names } = this.#options;
    this.#mount = mountOf(this.#current);
    this.#push('', 0);
    if (names !== undefined) await this.#visitNames(names);
    for (;;) {
      await this.#turn();
      const level = this.#level();
      const next = level.left.pop();
      if (next !== undefined) {
        this.#held -= 1;
        this.#goDown(next);
      } else if (level.unlisted) {
        await this.#list(level);
      } else {
        this.#visitor.finish?.(this.#current);
        if (this.#levels.length === 1) return;
        this.#goUp(level);
      }
    }
  }

  async #visitNames(names: readonly PathName[]): Promise<void> {
    const level = this.#level();
    level.unlisted = false;
    for (const name of names) await this.#visit(level, name);
  }

  /** Visits what is in the present directory, until too many directories are found to hold the names of. */
  async #list(level: Level): Promise<void> {
    const { path, consumes } = this.#options;
    const entries = opendirSync(pathOf(this.#current), { encoding: asBytes });
    try {
      for (;;) {
        const name: unknown = entries.readSync()?.name;
        if (name === undefined) {
          level.unlisted = false;
          return;
        }
        if (!(name instanceof Uint8Array)) throw new Error('a directory was to be listed as bytes');
        await this.#visit(level, name);
        if (this.#held < maxHeldNames || level.left.length === 0) continue;
        if (consumes) return;
        throw SyscallError.named('readdir', 'ENOMEM', `${path}: more than ${maxHeldNames} directories`);
      }
    } finally {
      entries.closeSync();
    }
  }

  async #visit(level: Level, name: PathName): Promise<void> {
    await this.#turn();
    const found = this.#visitor.enter(this.#current, name);
    if (!(typeof found === 'boolean' ? found : await found)) return;
    level.left.push(name);
    this.#held += 1;
  }

  #goDown(name: PathName): void {
    const passes = this.#passes;
    this.#passes = 0;
    let fd: number;
    try {
      fd = openBelow(this.#syscalls, this.#current, name);
    } catch (error) {
      // It is gone, or no directory any more.
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return;
      if (hasCode(error, 'EXDEV')) {
        this.#visitor.mounted(this.#options.path);
        return;
      }
      throw error;
    }
    const inner = new Descriptor(this.#syscalls, fd);
    if (mountOf(inner) !== this.#mount) {
      inner.close();
      this.#visitor.mounted(this.#options.path);
      return;
    }
    this.#moveTo(inner);
    this.#push(name, passes);
  }

  #goUp({ name, passes }: Level): void {
    const { path } = this.#options;
    this.#levels.pop();
    const above = this.#level();
    const parent = this.#syscalls.openat(this.#current.fd, '..', Open.Path | Open.Directory);
    this.#moveTo(new Descriptor(this.#syscalls, parent));
    const found = identityOf(this.#current);
    if (found.device !== above.device || found.inode !== above.inode || found.birth !== above.birth)
      throw new UnsafePathError(path, 'was moved while it was walked');
    if (this.#visitor.leave?.(this.#current, name) !== false) return;
    if (passes >= maxPasses)
      throw SyscallError.named(
        'unlinkat',
        'ENOTEMPTY',
        `${path}: ${Buffer.from(name).toString()} is filled all the time`,
      );
    above.left.push(name);
    this.#held += 1;
    this.#passes = passes + 1;
  }

  #push(name: PathName, passes: number): void {
    this.#levels.push({ name, passes, left: [], unlisted: true, ...identityOf(this.#current) });
  }

  #level(): Level {
    const level = this.#levels.at(-1);
    if (level === undefined) throw new Error('a walk has left its top');
    return level;
  }

  #moveTo(to: Descriptor): void {
    this.#current.close();
    this.#current = to;
  }

  async #turn(): Promise<void> {
    const pause = this.#pace.step();
    if (pause === undefined) return;
    await pause;
    this.#options.signal?.throwIfAborted();
  }
}

/** EXDEV: something is mounted there. */
function openBelow(syscalls: Syscalls, directory: Descriptor, name: PathName): number {
  const flags = Open.Path | Open.Directory | Open.NoFollow;
  const resolve = Resolve.Beneath | Resolve.NoSymlinks | Resolve.NoMagicLinks | Resolve.NoCrossDevice;
  try {
    return syscalls.openat2(directory.fd, name, { flags, resolve });
  } catch (error) {
    // Before Linux 5.6; then the mount is looked at.
    if (!hasCode(error, 'ENOSYS')) throw error;
  }
  return syscalls.openat(directory.fd, name, flags);
}

export function pathOf(directory: Descriptor): string {
  return `/proc/self/fd/${directory.fd}`;
}

function identityOf(directory: Descriptor): Identity {
  const { dev, ino, birthtimeNs } = fstatSync(directory.fd, { bigint: true });
  return { device: dev, inode: ino, birth: birthtimeNs };
}

/** The id of the mount that a descriptor lies in (proc_pid_fdinfo(5)): a bind mount has the same device as its source. */
function mountOf(descriptor: Descriptor): string {
  const info = readFileSync(`/proc/self/fdinfo/${descriptor.fd}`, 'latin1');
  const id = /^mnt_id:\s*([0-9]+)$/m.exec(info)?.[1];
  if (id === undefined) throw new Error('/proc/self/fdinfo does not tell the mount of a descriptor');
  return id;
}
