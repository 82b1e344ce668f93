import { asUnsafePath, pathComponents } from '../fs/safe-path.js';
import { At, Open, Resolve } from '../syscalls/constants.js';
import { hasCode } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** Returns the thread to its own mount namespace, or ends the process. */
export function leaveNamespace(syscalls: Syscalls, own: number): void {
  try {
    syscalls.setNamespace(own, 'mnt');
  } catch (error) {
    // Continuing in a container's mount namespace would be worse than exiting.
    process.stderr.write(`cannot leave the mount namespace of a container: ${String(error)}\n`);
    process.abort();
  }
}

/** Opens an absolute path below the thread's root with O_PATH, without following a link. `keep`: receives each descriptor. */
export function walkNamespace(
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
