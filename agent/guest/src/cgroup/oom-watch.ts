import { closeSync, openSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasCode, listenEventfd, type Syscalls } from '@kata-agent/linux';
import { type CgroupPaths, parseTable, readCgroupFile } from './cgroup-paths.js';

/** v1 notifies on OOM, before it kills and counts: the counter is read again after these delays, in milliseconds. */
const rereadDelaysMs: readonly number[] = [5, 25, 100, 500];

/**
 * Maximum number of reads for numbers of one moment. A container can cause kills without end; if the last read is
 * wrong as well, the kernel's notice of the kill meanwhile corrects it.
 */
const MAX_ROUNDS = 2;

/**
 * Polling interval for counters without notification, while a caller waits. An OOM kill of a process that the agent
 * started is seen at once in any case, by its exit.
 */
const POLL_MS = 250;

/** Maximum number of undelivered events; the oldest are dropped. */
const MAX_PENDING = 1024;

interface Watched {
  readonly paths: CgroupPaths;
  readonly killed: () => void;
  seen: bigint;
  /** No kill can follow: the cgroup is gone, or has no process. */
  ended: boolean;
  /** Undefined: the counter is polled. */
  readonly endNotice: (() => void) | undefined;
  readonly endNoticeOfEnd: (() => void) | undefined;
}

/**
 * Reports OOM kills in containers. The kernel counts them per cgroup (`oom_kill` in v1's memory.oom_control and v2's
 * memory.events) and notifies; each increment is one event, kept until it is delivered, also if the container is gone
 * by then: systemd removes the cgroup of a scope, and its counter, once the last process has ended.
 */
export class OomWatch {
  readonly #syscalls: Syscalls;
  readonly #watched: Map<string, Watched> = new Map();
  readonly #pending: Map<string, bigint> = new Map();
  readonly #waiters: ((containerId: string) => void)[] = [];
  readonly #slices: SliceKills;
  #timer: NodeJS.Timeout | undefined;

  constructor(syscalls: Syscalls) {
    this.#syscalls = syscalls;
    this.#slices = new SliceKills({
      killsOf: (directory) => oomKills({ version: 2, directory }),
      noticeOf: (directory, changed) => noticeOfOom({ version: 2, directory }, syscalls, changed),
      read: (slice) =>
        this.#below(slice).flatMap(([containerId, watched]) => this.#read(containerId, watched)),
      explained: (slice) => this.#below(slice).reduce((sum, [, { seen }]) => sum + seen, 0n),
      ascribe: (directory, count) => {
        for (const [containerId, watched] of this.#watched)
          if (watched.paths.version === 2 && watched.paths.directory === directory)
            return this.#count(containerId, watched, watched.seen + count);
      },
    });
  }

  /** `killed` is called when the counter has risen, at once if that was before; before the exit of a process that ends after the kill. */
  add(containerId: string, paths: CgroupPaths, killed: () => void = () => undefined): void {
    const seen = oomKills(paths) ?? 0n;
    const changed = (): void => this.check(containerId);
    const endNotice = noticeOfOom(paths, this.#syscalls, changed);
    const endNoticeOfEnd = noticeOfEnd(paths, changed);
    if (paths.version === 2) this.#slices.add(paths.directory, seen);
    this.#watched.set(containerId, { paths, killed, seen, ended: false, endNotice, endNoticeOfEnd });
    if (seen > 0n) killed();
    this.#pollWhileAwaited();
  }

  /** Stops watching a container, after a last read of its counter. */
  remove(containerId: string): void {
    this.check(containerId);
    const watched = this.#watched.get(containerId);
    watched?.endNotice?.();
    watched?.endNoticeOfEnd?.();
    this.#watched.delete(containerId);
    if (watched?.paths.version === 2) this.#slices.remove(watched.paths.directory, watched.seen);
    this.#pollWhileAwaited();
  }

  /** Reads the counter at once. Called when a process of the container has ended. */
  check(containerId: string): void {
    const watched = this.#watched.get(containerId);
    if (watched === undefined) return;
    for (const directory of this.#read(containerId, watched))
      this.#slices.check(dirname(directory), directory);
  }

  /** Reads the counter unless its number is final. Returns the directory under v2 if the cgroup is gone since the last read. */
  #read(containerId: string, watched: Watched): readonly string[] {
    const { paths, ended } = watched;
    if (ended) return [];
    const empty = isEmpty(paths);
    const now = oomKills(paths);
    watched.ended = empty || now === undefined;
    if (now !== undefined) this.#count(containerId, watched, now);
    return now === undefined && paths.version === 2 ? [paths.directory] : [];
  }

  #count(containerId: string, watched: Watched, now: bigint): void {
    if (now <= watched.seen) return;
    this.#pending.set(containerId, (this.#pending.get(containerId) ?? 0n) + now - watched.seen);
    watched.seen = now;
    watched.killed();
    for (const oldest of this.#pending.keys()) {
      if (this.#pending.size <= MAX_PENDING) break;
      this.#pending.delete(oldest);
    }
    this.#deliver();
  }

  #below(slice: string): readonly (readonly [string, Watched])[] {
    return [...this.#watched].filter(
      ([, { paths }]) => paths.version === 2 && paths.directory.startsWith(`${slice}/`),
    );
  }

  /**
   * Returns the container of the next event. Each event is delivered to one caller, the newest: a runtime asks again
   * after a reconnect, and a proxy between it and the agent may have kept the earlier call open.
   */
  next(signal: AbortSignal): Promise<string> {
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const settle = (containerId: string): void => {
        signal.removeEventListener('abort', abort);
        resolve(containerId);
      };
      const abort = (): void => {
        this.#waiters.splice(this.#waiters.indexOf(settle), 1);
        this.#pollWhileAwaited();
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiters.push(settle);
      this.#checkAll();
      this.#deliver();
    });
  }

  #checkAll(): void {
    for (const containerId of this.#watched.keys()) this.check(containerId);
  }

  #deliver(): void {
    for (const [containerId, events] of this.#pending) {
      let left = events;
      for (; left > 0n && this.#waiters.length > 0; left -= 1n) this.#waiters.pop()?.(containerId);
      if (left > 0n) this.#pending.set(containerId, left);
      else this.#pending.delete(containerId);
    }
    this.#pollWhileAwaited();
  }

  #pollWhileAwaited(): void {
    const unnoticed = [...this.#watched.values()].some(({ endNotice }) => endNotice === undefined);
    if (this.#waiters.length === 0 || !unnoticed) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else {
      this.#timer ??= setInterval(() => this.#checkAll(), POLL_MS).unref();
    }
  }
}

/** Undefined: the cgroup is gone, or the kernel does not count. */
function oomKills(paths: CgroupPaths): bigint | undefined {
  return parseTable(readCgroupFile(oomCounter(paths)))['oom_kill'];
}

/** Reports whether no process is in the cgroup. False under v1. */
function isEmpty(paths: CgroupPaths): boolean {
  return paths.version === 2 && parseTable(readCgroupFile(cgroupEvents(paths)))['populated'] === 0n;
}

/** What `SliceKills` needs of the kernel and of the containers. */
interface SliceContext {
  /** Returns the kernel's count of a cgroup and of all that are or were below it. Undefined: the cgroup is gone. */
  readonly killsOf: (directory: string) => bigint | undefined;
  /** Calls `changed` when that count may have changed; the result ends it. Undefined: not available. */
  readonly noticeOf: (directory: string, changed: () => void) => (() => void) | undefined;
  /** Reads the counters of the containers below a slice. Returns the cgroups that are gone since the last read. */
  readonly read: (slice: string) => readonly string[];
  /** Returns the kills in the containers below a slice, as of the last read. */
  readonly explained: (slice: string) => bigint;
  /** Ascribes kills to a container whose cgroup is gone. */
  readonly ascribe: (directory: string, kills: bigint) => void;
}

interface Slice {
  /** Number of watched containers directly in it. */
  containers: number;
  /** Kills in none of the containers, such as those of services. */
  others: bigint;
  readonly endNotice: (() => void) | undefined;
}

/**
 * The OOM kills in slices (cgroup v2): the counter of a slice includes the kills of scopes that are gone. Kills that no
 * container's own counter explains are those of a container whose cgroup systemd removed before the counter was read.
 * The kernel counts a kill before the process ends: kills after a cgroup was found gone are of others.
 */
export class SliceKills {
  readonly #context: SliceContext;
  readonly #slices: Map<string, Slice> = new Map();

  constructor(context: SliceContext) {
    this.#context = context;
  }

  /** Called before a container is watched. `directory`: its cgroup; `kills`: those in it until now. */
  add(directory: string, kills: bigint): void {
    const slice = dirname(directory);
    const known = this.#slices.get(slice);
    if (known !== undefined) known.containers += 1;
    else {
      const endNotice = this.#context.noticeOf(slice, () => this.check(slice));
      this.#slices.set(slice, { containers: 1, others: 0n, endNotice });
    }
    // Kills in a container that is not watched yet are among those of others.
    this.check(slice);
    for (const above of this.#above(directory)) above.others -= kills;
  }

  /** Called once it is no longer watched. `kills`: those that were ascribed to it. */
  remove(directory: string, kills: bigint): void {
    for (const known of this.#above(directory)) known.others += kills;
    const slice = dirname(directory);
    const known = this.#slices.get(slice);
    if (known === undefined) return;
    known.containers -= 1;
    if (known.containers > 0) return;
    known.endNotice?.();
    this.#slices.delete(slice);
  }

  #above(directory: string): readonly Slice[] {
    return [...this.#slices].filter(([slice]) => directory.startsWith(`${slice}/`)).map(([, known]) => known);
  }

  /**
   * Ascribes kills to containers whose cgroups are gone, and what is then left to others.
   *
   * @param directory a cgroup that was just found gone; without it, any such cgroup gets the kills
   */
  check(slice: string, directory?: string): void {
    const gone = directory === undefined ? [] : [directory];
    // A slice below it first: its kills are also counted here.
    const slices = [...this.#slices.keys()]
      .filter((name) => name === slice || name.startsWith(`${slice}/`))
      .sort((a, b) => b.length - a.length);
    const counts = (): readonly (bigint | undefined)[] => slices.map((name) => this.#context.killsOf(name));
    let kills = counts();
    for (let round = 1; ; round += 1) {
      gone.push(...this.#context.read(slice));
      const now = counts();
      // A kill between the reads is in one of both numbers only.
      if (round === MAX_ROUNDS || now.every((count, index) => count === kills[index])) break;
      kills = now;
    }
    for (const [index, name] of slices.entries()) this.#settle(name, kills[index], gone);
  }

  #settle(slice: string, kills: bigint | undefined, gone: readonly string[]): void {
    const known = this.#slices.get(slice);
    if (known === undefined || kills === undefined) return;
    const ended = gone.find((directory) => dirname(directory) === slice);
    const unread = kills - this.#context.explained(slice) - known.others;
    if (ended !== undefined && unread > 0n) this.#context.ascribe(ended, unread);
    known.others = kills - this.#context.explained(slice);
  }
}

/** Returns the file with the counter of OOM kills: `oom_kill` in v2's memory.events and v1's memory.oom_control. */
function oomCounter(paths: CgroupPaths): string {
  return paths.version === 2
    ? join(paths.directory, 'memory.events')
    : join(memoryOf(paths), 'memory.oom_control');
}

/**
 * Subscribes to changes of the counter. Undefined: not available, because the kernel was built without it, all its
 * watches are in use, or the cgroup is gone. The returned function unsubscribes.
 */
function noticeOfOom(paths: CgroupPaths, syscalls: Syscalls, changed: () => void): (() => void) | undefined {
  return ifAvailable(() =>
    paths.version === 2 ? byInotify(oomCounter(paths), changed) : byEventfd(paths, syscalls, changed),
  );
}

/** Subscribes to the end of the last process in a cgroup, under v2 only; as `noticeOfOom`. */
function noticeOfEnd(paths: CgroupPaths, changed: () => void): (() => void) | undefined {
  return paths.version === 2 ? ifAvailable(() => byInotify(cgroupEvents(paths), changed)) : undefined;
}

/** Returns the file that says whether processes are in a cgroup or below it: `populated`. */
function cgroupEvents(paths: CgroupPaths & { readonly version: 2 }): string {
  return join(paths.directory, 'cgroup.events');
}

function ifAvailable(subscribe: () => () => void): (() => void) | undefined {
  try {
    return subscribe();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV', 'ENOSPC', 'EMFILE', 'EINVAL', 'EOPNOTSUPP')) return undefined;
    throw error;
  }
}

/** The kernel reports a change of memory.events and cgroup.events as a modified file to inotify(7) (Documentation/admin-guide/cgroup-v2.rst). */
function byInotify(file: string, changed: () => void): () => void {
  const watcher = watch(file, { persistent: false }, changed);
  // The file is removed with its cgroup, which the agent notices in other ways.
  watcher.on('error', () => watcher.close());
  return () => watcher.close();
}

/** Registers an eventfd (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control"). */
function byEventfd(
  paths: CgroupPaths & { readonly version: 1 },
  syscalls: Syscalls,
  changed: () => void,
): () => void {
  const timers = new Set<NodeJS.Timeout>();
  const rereadAfter = (delay: number): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      changed();
    }, delay).unref();
    timers.add(timer);
  };
  const register = (eventfd: number): void => {
    const control = openSync(oomCounter(paths), 'r');
    try {
      const file = join(memoryOf(paths), 'cgroup.event_control');
      writeFileSync(file, `${eventfd} ${control}`, { flag: 'r+' });
    } finally {
      closeSync(control);
    }
  };
  const end = listenEventfd(syscalls, register, () => {
    changed();
    for (const delay of rereadDelaysMs) rereadAfter(delay);
  });
  return () => {
    end();
    for (const timer of timers) clearTimeout(timer);
  };
}

function memoryOf(paths: CgroupPaths & { readonly version: 1 }): string {
  return paths.controllers.get('memory') ?? '/nonexistent';
}
