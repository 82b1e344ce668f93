import { dirname } from 'node:path';
import type { Syscalls } from '@kata-agent/linux';
import { readCgroupFile, parseTable } from './cgroup-files.js';
import type { CgroupPaths } from './cgroup-paths.js';
import { cgroupEvents, noticeOfEnd, noticeOfOom, oomCounter } from './oom-notice.js';
import { SliceKills } from './slice-kills.js';

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
