import { closeSync, openSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, listenEventfd, type Syscalls } from '@kata-agent/linux';
import type { CgroupPaths } from './cgroup-paths.js';

/** The file that counts kills for want of memory: `oom_kill` in v2's memory.events and v1's memory.oom_control. */
export function oomCounter(paths: CgroupPaths): string {
  return paths.version === 2
    ? join(paths.directory, 'memory.events')
    : join(memoryOf(paths), 'memory.oom_control');
}

/**
 * Has the kernel say when the counter may have changed. Undefined: it does not, since this kernel was built without, or
 * all of its watches are in use, or the cgroup is gone. The function returned ends it.
 */
export function noticeOfOom(
  paths: CgroupPaths,
  syscalls: Syscalls,
  changed: () => void,
): (() => void) | undefined {
  try {
    return paths.version === 2 ? byInotify(oomCounter(paths), changed) : byEventfd(paths, syscalls, changed);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV', 'ENOSPC', 'EMFILE', 'EINVAL', 'EOPNOTSUPP')) return undefined;
    throw error;
  }
}

/** Kernel Documentation/admin-guide/cgroup-v2.rst: a change of memory.events is a change of the file to inotify(7). */
function byInotify(file: string, changed: () => void): () => void {
  const watcher = watch(file, { persistent: false }, changed);
  // The file goes with its cgroup, whose end the agent sees otherwise.
  watcher.on('error', () => watcher.close());
  return () => watcher.close();
}

/** v1 tells of want of memory before it kills and counts: the counter is looked at again after so many milliseconds. */
const laterLooksMs: readonly number[] = [5, 25, 100, 500];

/** Kernel Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control". */
function byEventfd(
  paths: CgroupPaths & { readonly version: 1 },
  syscalls: Syscalls,
  changed: () => void,
): () => void {
  const looks = new Set<NodeJS.Timeout>();
  const lookLater = (delay: number): void => {
    const look = setTimeout(() => {
      looks.delete(look);
      changed();
    }, delay).unref();
    looks.add(look);
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
    for (const delay of laterLooksMs) lookLater(delay);
  });
  return () => {
    end();
    for (const look of looks) clearTimeout(look);
  };
}

function memoryOf(paths: CgroupPaths & { readonly version: 1 }): string {
  return paths.controllers.get('memory') ?? '/nonexistent';
}
