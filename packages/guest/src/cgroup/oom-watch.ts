import type { Syscalls } from '@kata-agent/linux';
import { readTable } from './cgroup-files.js';
import type { CgroupPaths } from './cgroup-paths.js';
import { noticeOfOom, oomCounter } from './oom-notice.js';

/**
 * Counters of which the kernel tells nothing are read so often while somebody waits. A kill that ends a process that the
 * agent started is seen at once in any case, by the exit.
 */
const POLL_MS = 250;

/** Containers whose events nobody fetched; the oldest go first. */
const MOST_PENDING = 1024;

interface Watched {
  readonly paths: CgroupPaths;
  seen: bigint;
  /** Undefined: the counter has to be read again and again. */
  readonly endNotice: (() => void) | undefined;
}

/**
 * Tells when the kernel killed a process of a container for want of memory. The kernel counts those kills per cgroup
 * (`oom_kill` in v1's memory.oom_control and v2's memory.events) and says when; each step of the counter is one event,
 * kept until somebody asks, also when the container is gone by then.
 */
export class OomWatch {
  readonly #syscalls: Syscalls;
  readonly #watched: Map<string, Watched> = new Map();
  readonly #pending: Map<string, bigint> = new Map();
  readonly #waiters: ((containerId: string) => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(syscalls: Syscalls) {
    this.#syscalls = syscalls;
  }

  add(containerId: string, paths: CgroupPaths): void {
    const seen = oomKills(paths);
    const endNotice = noticeOfOom(paths, this.#syscalls, () => this.check(containerId));
    this.#watched.set(containerId, { paths, seen, endNotice });
    this.#pollWhileAwaited();
  }

  /** Looks a last time, then no more. */
  remove(containerId: string): void {
    this.check(containerId);
    this.#watched.get(containerId)?.endNotice?.();
    this.#watched.delete(containerId);
    this.#pollWhileAwaited();
  }

  /** Looks now. Call it when a process of the container has ended. */
  check(containerId: string): void {
    const watched = this.#watched.get(containerId);
    if (watched === undefined) return;
    const now = oomKills(watched.paths);
    if (now <= watched.seen) return;
    this.#pending.set(containerId, (this.#pending.get(containerId) ?? 0n) + now - watched.seen);
    watched.seen = now;
    for (const oldest of this.#pending.keys()) {
      if (this.#pending.size <= MOST_PENDING) break;
      this.#pending.delete(oldest);
    }
    this.#deliver();
  }

  /** The container of the next event. Each event goes to one caller, in the order in which they asked. */
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
      for (; left > 0n && this.#waiters.length > 0; left -= 1n) this.#waiters.shift()?.(containerId);
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

function oomKills(paths: CgroupPaths): bigint {
  return readTable(oomCounter(paths))['oom_kill'] ?? 0n;
}
