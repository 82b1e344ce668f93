import { closeSync, openSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, listenEventfd, type Syscalls } from '@kata-agent/linux';
import type { CgroupPaths } from './cgroup-paths.js';

/** Returns the file with the counter of OOM kills: `oom_kill` in v2's memory.events and v1's memory.oom_control. */
export function oomCounter(paths: CgroupPaths): string {
  return paths.version === 2
    ? join(paths.directory, 'memory.events')
    : join(memoryOf(paths), 'memory.oom_control');
}

/**
 * Subscribes to changes of the counter. Undefined: not available, because the kernel was built without it, all its
 * watches are in use, or the cgroup is gone. The returned function unsubscribes.
 */
export function noticeOfOom(
  paths: CgroupPaths,
  syscalls: Syscalls,
  changed: () => void,
): (() => void) | undefined {
  return ifAvailable(() =>
    paths.version === 2 ? byInotify(oomCounter(paths), changed) : byEventfd(paths, syscalls, changed),
  );
}

/** Subscribes to the end of the last process in a cgroup, under v2 only; as `noticeOfOom`. */
export function noticeOfEnd(paths: CgroupPaths, changed: () => void): (() => void) | undefined {
  return paths.version === 2 ? ifAvailable(() => byInotify(cgroupEvents(paths), changed)) : undefined;
}

/** Returns the file that says whether processes are in a cgroup or below it: `populated`. */
export function cgroupEvents(paths: CgroupPaths & { readonly version: 2 }): string {
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

/** v1 notifies on OOM, before it kills and counts: the counter is read again after these delays, in milliseconds. */
const rereadDelaysMs: readonly number[] = [5, 25, 100, 500];

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
