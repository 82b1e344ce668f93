import { fstatSync, opendirSync, readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { Open, Resolve } from '../syscalls/constants.js';
import { Descriptor } from './descriptor.js';
import { UnsafePathError } from './safe-path.js';
import { hasCode, SyscallError } from '../syscalls/syscall-error.js';
import type { PathName } from '../syscalls/koffi.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** Time slice of a walk on the event loop in ms: a tenth of the maximum delay of another call (S36). */
const sliceMs = 5;

/** Resolves at the last assigned turn. */
let last: Promise<void> = Promise.resolve();

/** Callbacks of a walk. A directory passed to one is open only during the call. */
export interface TreeVisitor {
  /** Called for each name in a directory; returns whether it is a directory to walk. */
  enter(directory: Descriptor, name: PathName): boolean | Promise<boolean>;
  /** Called for each directory after its contents were walked. */
  finish?(directory: Descriptor): void;
  /** Called afterwards from the parent directory; returns false to walk it again because it has new contents. */
  leave?(parent: Descriptor, name: PathName): boolean;
  /** Called for a directory with a mount on it, which is never entered. */
  mounted(path: string): void;
}

export interface WalkOptions {
  /** For messages. */
  readonly path: string;
  /** The names to walk in the directory; by default all. */
  readonly names?: readonly PathName[];
  /** Visited entries are removed, so the rest is found by listing the directory again. */
  readonly consumes: boolean;
  /** When aborted, the walk throws its reason before the next slice. */
  readonly signal?: AbortSignal | undefined;
}

/** Maximum number of directory names held in memory over all levels: a few dozen megabytes. */
const maxHeldNames = 1 << 18;

/** Number of passes over a directory after which it counts as being refilled continually. */
const maxPasses = 32;

/** Accepted by Node.js as for `readdir`, but missing in its types. */
const asBytes = 'buffer' as BufferEncoding;

interface Identity {
  readonly device: bigint;
  readonly inode: bigint;
  /** Birth time, since inode numbers are reused. */
  readonly birth: bigint;
}

/** A directory on the path of the walk. */
interface Level extends Identity {
  readonly name: PathName;
  /** Directories in it that are still to be walked. */
  readonly left: PathName[];
  /** Some entries are neither in `left` nor visited yet. */
  unlisted: boolean;
  /** Number of earlier passes after which it had new contents. */
  readonly passes: number;
}

/**
 * Walks the contents of an open directory, of which it takes ownership, in slices (`Pace`). The tree belongs to a
 * container, which may change it at any time: it may be deeper than PATH_MAX or than the limit of open descriptors, and
 * its names need not be UTF-8. So only the current level is open. Going down opens one component, never a link or a
 * mount. Going up opens `..`, which must be the directory that the walk came from; otherwise UnsafePathError is thrown.
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
  /** Number of earlier passes of the next directory. */
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

  /** Visits the entries of the current directory until too many directory names would be held. */
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
        if (!(name instanceof Uint8Array)) throw new Error('the directory was not listed as bytes');
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
      // It was removed, or is no longer a directory.
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
      throw new UnsafePathError(path, 'was moved during the walk');
    if (this.#visitor.leave?.(this.#current, name) !== false) return;
    if (passes >= maxPasses)
      throw SyscallError.named(
        'unlinkat',
        'ENOTEMPTY',
        `${path}: ${Buffer.from(name).toString()} is refilled continually`,
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
    if (level === undefined) throw new Error('the walk went above its base');
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

/** Throws EXDEV at a mount point. */
function openBelow(syscalls: Syscalls, directory: Descriptor, name: PathName): number {
  const flags = Open.Path | Open.Directory | Open.NoFollow;
  const resolve = Resolve.Beneath | Resolve.NoSymlinks | Resolve.NoMagicLinks | Resolve.NoCrossDevice;
  try {
    return syscalls.openat2(directory.fd, name, { flags, resolve });
  } catch (error) {
    // Before Linux 5.6: compare mount ids instead.
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

/**
 * Returns the id of the mount that a descriptor is in (proc_pid_fdinfo(5)); a bind mount has the device of its source.
 */
function mountOf(descriptor: Descriptor): string {
  const info = readFileSync(`/proc/self/fdinfo/${descriptor.fd}`, 'latin1');
  const id = /^mnt_id:\s*([0-9]+)$/m.exec(info)?.[1];
  if (id === undefined) throw new Error('/proc/self/fdinfo has no mount id');
  return id;
}

/** Resolves in a turn of the event loop that no other walk has, so that concurrent walks do not add up their slices. */
function nextTurn(): Promise<void> {
  last = last.then(() => setImmediate());
  return last;
}

/**
 * Divides long work into slices with a turn of the event loop between them, so that other work proceeds. The first
 * slice waits for a turn too, so that starting many walks does not block.
 */
export class Pace {
  #until = 0;

  /** Call between two steps: returns undefined to continue at once, or a promise of the next slice. */
  step(): Promise<void> | undefined {
    return performance.now() < this.#until ? undefined : this.#nextSlice();
  }

  async #nextSlice(): Promise<void> {
    await nextTurn();
    this.#until = performance.now() + sliceMs;
  }
}
