import { closeSync, openSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { asUnsafePath, pathComponents } from '../fs/safe-path.js';
import { At, Open, Resolve, Tree } from '../syscalls/constants.js';
import type { ThreadNamespace } from '../syscalls/mount-calls.js';
import { hasCode } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** A path in another mount namespace. */
export interface ForeignPlace {
  /** Path of the namespace: `/proc/<pid>/ns/mnt`, or a descriptor of it. */
  readonly namespace: string;
  /** Absolute, as seen in that namespace. */
  readonly path: string;
}

/** Clones the mounts at a path and below it. */
const wholeCopy = Tree.Clone | Tree.Recursive | Tree.EmptyPath;

/**
 * Bind-mounts the mounts at a path of one mount namespace to a path in another, whose missing directories are created.
 * No link is followed: both namespaces belong to containers, which may change them at any time.
 *
 * The kernel only copies mounts of the caller's namespace, so this thread enters the namespace and returns within one
 * synchronous call. No other code of this thread runs meanwhile, and other threads are not affected. Afterwards the
 * working directory of a worker thread is the root of its own namespace. If it cannot return, the process exits.
 *
 * @param commit called before directories are created and before the mounts are attached; throws if that must not be any more
 */
export function graftMount(
  syscalls: Syscalls,
  from: ForeignPlace,
  to: ForeignPlace,
  commit: () => void = () => undefined,
): void {
  const open: number[] = [];
  const keep = (fd: number): number => {
    open.push(fd);
    return fd;
  };
  try {
    const [own, source, target] = ['/proc/self/ns/mnt', from.namespace, to.namespace].map((path) =>
      keep(openSync(path, 'r')),
    ) as [number, number, number];
    const directory = process.cwd();
    syscalls.unshareFs();
    try {
      syscalls.setNamespace(source, 'mnt');
      const tree = keep(syscalls.openTree(walkNamespace(syscalls, from.path, keep), '', wholeCopy));
      syscalls.setNamespace(target, 'mnt');
      commit();
      const place = walkNamespace(syscalls, to.path, keep, { make: true });
      commit();
      syscalls.moveMount(tree, place);
    } finally {
      leaveNamespace(syscalls, own);
    }
    if (isMainThread) process.chdir(directory);
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

/** Returns the thread to its own mount namespace, or ends the process. */
function leaveNamespace(syscalls: Syscalls, own: number): void {
  try {
    syscalls.setNamespace(own, 'mnt');
  } catch (error) {
    // Continuing in a container's mount namespace would be worse than exiting.
    process.stderr.write(`cannot leave the mount namespace of a container: ${String(error)}\n`);
    process.abort();
  }
}

/** Opens an absolute path below the thread's root with O_PATH, without following a link. `keep`: receives each descriptor. */
function walkNamespace(
  syscalls: Syscalls,
  path: string,
  keep: (fd: number) => number,
  { make = false }: { readonly make?: boolean } = {},
): number {
  let place = keep(syscalls.openat(At.Cwd, '/', Open.Path | Open.Directory));
  for (const name of pathComponents(path.replace(/^\/+/, ''))) {
    const how = { flags: Open.Path, resolve: Resolve.Beneath | Resolve.NoSymlinks | Resolve.NoMagicLinks };
    const next = (): number => keep(syscalls.openat2(place, name, how));
    try {
      place = next();
    } catch (error) {
      if (!make || !hasCode(error, 'ENOENT')) throw asUnsafePath(path, error);
      syscalls.mkdirat(place, name, 0o755);
      place = next();
    }
  }
  return place;
}

/**
 * Sets `MountAttribute` bits of mounts of another mount namespace, each by the absolute path of its mount point there; of several at
 * one path, of the topmost. No link is followed. The kernel changes only mounts of the caller's namespace: this thread
 * enters it and returns within one synchronous call, as `graftMount`.
 *
 * @param namespace `/proc/<pid>/ns/mnt`
 */
export function restrictMounts(
  syscalls: Syscalls,
  namespace: string,
  paths: readonly string[],
  attributes: number,
): void {
  const open: number[] = [];
  const keep = (fd: number): number => {
    open.push(fd);
    return fd;
  };
  try {
    const [own, target] = [keep(openSync('/proc/self/ns/mnt', 'r')), keep(openSync(namespace, 'r'))];
    syscalls.unshareFs();
    try {
      syscalls.setNamespace(target, 'mnt');
      for (const path of paths)
        syscalls.mountSetattr(
          walkNamespace(syscalls, path, keep),
          { set: attributes, clear: 0, propagation: 0 },
          false,
        );
    } finally {
      leaveNamespace(syscalls, own);
    }
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

/**
 * Runs a task with this thread in another IPC, UTS or network namespace. The task is synchronous: no other code of this process
 * runs meanwhile, and libuv's threads are not affected. If the thread cannot return, the process exits.
 *
 * @param namespace a descriptor of a namespace, such as `/proc/PID/ns/TYPE`.
 */
export function visitNamespace<Result>(
  syscalls: Syscalls,
  type: ThreadNamespace,
  namespace: number,
  task: () => Result,
): Result {
  const own = openSync(`/proc/thread-self/ns/${type}`, 'r');
  try {
    syscalls.setNamespace(namespace, type);
    try {
      return task();
    } finally {
      comeBack(syscalls, own, type);
    }
  } finally {
    closeSync(own);
  }
}

function comeBack(syscalls: Syscalls, own: number, type: ThreadNamespace): void {
  try {
    syscalls.setNamespace(own, type);
  } catch (error) {
    process.stderr.write(`cannot leave the ${type} namespace of a container: ${String(error)}\n`);
    process.abort();
  }
}
