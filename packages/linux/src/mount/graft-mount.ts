import { closeSync, openSync } from 'node:fs';
import { Tree } from '../syscalls/constants.js';
import { leaveNamespace, walkNamespace } from './foreign-namespace.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** A path in another mount namespace. */
export interface ForeignPlace {
  /** `/proc/<pid>/ns/mnt`. */
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
 * synchronous call. No other code of this process runs meanwhile, and libuv's threads are not affected. Afterwards its
 * working directory is the root of its own namespace. If it cannot return, the process exits.
 */
export function graftMount(syscalls: Syscalls, from: ForeignPlace, to: ForeignPlace): void {
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
      syscalls.moveMount(tree, walkNamespace(syscalls, to.path, keep, { make: true }));
    } finally {
      leaveNamespace(syscalls, own);
    }
    process.chdir(directory);
  } finally {
    for (const fd of open) closeSync(fd);
  }
}
