import { closeSync, openSync } from 'node:fs';
import { At, Open, Resolve, Tree } from '../syscalls/constants.js';
import { asUnsafePath, pathComponents } from '../fs/safe-path.js';
import { hasCode } from '../syscalls/syscall-error.js';
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
      const tree = keep(syscalls.openTree(walk(syscalls, from.path, keep), '', wholeCopy));
      syscalls.setNamespace(target, 'mnt');
      syscalls.moveMount(tree, walk(syscalls, to.path, keep, { make: true }));
    } finally {
      comeBack(syscalls, own);
    }
    process.chdir(directory);
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

function comeBack(syscalls: Syscalls, own: number): void {
  try {
    syscalls.setNamespace(own, 'mnt');
  } catch (error) {
    // Continuing in a container's mount namespace would be worse than exiting.
    process.stderr.write(`cannot leave the mount namespace of a container: ${String(error)}\n`);
    process.abort();
  }
}

/** Opens an absolute path below the thread's root with O_PATH. */
function walk(
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
