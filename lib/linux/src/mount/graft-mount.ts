import { closeSync, openSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { Tree } from '../syscalls/constants.js';
import { leaveNamespace, walkNamespace } from './foreign-namespace.js';
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
