import { fstatSync, readdirSync, readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { At, Open } from './constants.js';
import { Descriptor } from './descriptor.js';
import { UnsafePathError } from './safe-path.js';
import { hasCode, SyscallError } from './syscall-error.js';
import type { PathName, Syscalls } from './syscalls.js';

/** So many removals, about a millisecond's, are made before other work has its turn. */
const removalsPerTurn = 256;

/** A directory on the way down, and what is left in it. */
interface Level {
  readonly name: PathName;
  readonly device: number;
  readonly inode: number;
  readonly left: PathName[];
}

/**
 * Removes what has a name in an open directory, which it owns from now on, and all below it. A container's owner made
 * this tree: it may be deeper than any path is long or than we may hold descriptors open, and hold names that are no
 * UTF-8. So only the present level is open; the way up is `..`, which must be the directory that we came from. Symbolic
 * links are removed as such. EBUSY at a mount: what is mounted is not ours to remove.
 */
export async function removeTree(
  syscalls: Syscalls,
  path: string,
  parent: Descriptor,
  name: string,
): Promise<void> {
  let current = parent;
  try {
    const mount = mountOf(current);
    const levels: Level[] = [levelOf('', current, [name])];
    for (let step = 1; ; step++) {
      if (step % removalsPerTurn === 0) await setImmediate();
      const level = levels.at(-1);
      if (level === undefined) return;
      const next = level.left.pop();
      if (next === undefined) {
        levels.pop();
        const above = levels.at(-1);
        if (above === undefined) return;
        current = goUp(syscalls, path, current, above);
        syscalls.unlinkat(current.fd, level.name, At.RemoveDirectory);
      } else if (!tryUnlink(syscalls, current, next)) {
        current = goDown(syscalls, current, next);
        if (mountOf(current) !== mount)
          throw SyscallError.named('unlinkat', 'EBUSY', `${path}: mounted there or below`);
        const left = readdirSync(`/proc/self/fd/${current.fd}`, { encoding: 'buffer' });
        levels.push(levelOf(next, current, left));
      }
    }
  } finally {
    current.close();
  }
}

/** False when it is a directory. What is gone already counts as removed. */
function tryUnlink(syscalls: Syscalls, directory: Descriptor, name: PathName): boolean {
  try {
    syscalls.unlinkat(directory.fd, name, 0);
  } catch (error) {
    if (hasCode(error, 'EISDIR')) return false;
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  return true;
}

function goDown(syscalls: Syscalls, from: Descriptor, name: PathName): Descriptor {
  return moveTo(syscalls, from, syscalls.openat(from.fd, name, Open.Path | Open.Directory | Open.NoFollow));
}

function goUp(syscalls: Syscalls, path: string, from: Descriptor, above: Level): Descriptor {
  const parent = moveTo(syscalls, from, syscalls.openat(from.fd, '..', Open.Path | Open.Directory));
  const { dev, ino } = fstatSync(parent.fd);
  if (dev === above.device && ino === above.inode) return parent;
  parent.close();
  throw new UnsafePathError(path, 'was moved while it was removed');
}

function moveTo(syscalls: Syscalls, from: Descriptor, to: number): Descriptor {
  const descriptor = new Descriptor(syscalls, to);
  from.close();
  return descriptor;
}

function levelOf(name: PathName, directory: Descriptor, left: PathName[]): Level {
  const { dev, ino } = fstatSync(directory.fd);
  return { name, device: dev, inode: ino, left };
}

/** The id of the mount that a descriptor lies in (proc_pid_fdinfo(5)): a bind mount has the same device as its source. */
function mountOf(descriptor: Descriptor): string {
  const info = readFileSync(`/proc/self/fdinfo/${descriptor.fd}`, 'latin1');
  const id = /^mnt_id:\s*([0-9]+)$/m.exec(info)?.[1];
  if (id === undefined) throw new Error('/proc/self/fdinfo does not tell the mount of a descriptor');
  return id;
}
