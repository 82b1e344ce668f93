import { closeSync, openSync } from 'node:fs';
import { At, Open, Resolve } from './constants.js';
import { loadNamespaceCalls, type NamespaceCalls } from './namespace-calls.js';
import { asUnsafePath, pathComponents } from './safe-path.js';
import { hasCode } from './syscall-error.js';
import type { Syscalls } from './syscalls.js';

/** A place in another mount namespace. */
export interface ForeignPlace {
  /** `/proc/<pid>/ns/mnt`. */
  readonly namespace: string;
  /** Absolute, as the processes of that namespace see it. */
  readonly path: string;
}

/**
 * Shows the mounts at one place of a mount namespace at another place of another one, whose directories are made where
 * they are missing. No link is followed: both belong to containers, which may change them at any time.
 *
 * The kernel copies a mount only for who is in its namespace. So this thread goes there and comes back, within one call:
 * nothing else of this process runs meanwhile, and libuv's threads stay where they are. It is left with the root of its own
 * namespace as working directory. Should it not come back, the process ends.
 */
export function graftMount(
  syscalls: Syscalls,
  from: ForeignPlace,
  to: ForeignPlace,
  calls: NamespaceCalls = loadNamespaceCalls(),
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
    calls.unshareFs();
    try {
      calls.setMountNamespace(source);
      const tree = keep(calls.cloneTree(walk(syscalls, from.path, keep)));
      calls.setMountNamespace(target);
      calls.attachTree(tree, walk(syscalls, to.path, keep, { make: true }));
    } finally {
      comeBack(calls, own);
    }
    process.chdir(directory);
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

function comeBack(calls: NamespaceCalls, own: number): void {
  try {
    calls.setMountNamespace(own);
  } catch (error) {
    // An agent that took a container's files for the guest's would be worse than none.
    process.stderr.write(`the mount namespace of a container cannot be left: ${String(error)}\n`);
    process.abort();
  }
}

/** The place of an absolute path below the thread's root, opened for its name alone. */
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
