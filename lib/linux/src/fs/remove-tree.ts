import { lstatSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { isMainThread } from 'node:worker_threads';
import { At } from '../syscalls/constants.js';
import type { Descriptor } from './descriptor.js';
import { UnsafePathError } from './safe-path.js';
import { hasCode, SyscallError } from '../syscalls/syscall-error.js';
import type { PathName } from '../syscalls/koffi.js';
import type { Syscalls } from '../syscalls/syscalls.js';
import { pathOf, TreeWalk } from './walk-tree.js';

export interface RemoveOptions {
  /** When aborted, the removal ends with ETIMEDOUT and part of the tree remains. Default: a timeout of one minute. */
  readonly signal?: AbortSignal | undefined;
}

/** Enough for millions of files, unless new ones are created as fast as they are removed. */
const patienceMs = 60_000;

/** A walk that is diverted by concurrent moves is restarted this many times. */
const maxRounds = 16;

/** Freeing a file of this many 512-byte blocks takes the kernel longer than a slice, so it is done in a thread. */
const blocksForThread = 32 * 2048;

/**
 * Removes an entry of an open directory, of which it takes ownership, and everything below. Symbolic links are removed,
 * not followed. Throws EBUSY at a mount point: what is mounted is not removed.
 */
export async function removeTree(
  syscalls: Syscalls,
  path: string,
  parent: Descriptor,
  name: string,
  { signal = AbortSignal.timeout(patienceMs) }: RemoveOptions = {},
): Promise<void> {
  const visitor = {
    enter: (directory: Descriptor, entry: PathName) => isDirectoryLeft(syscalls, directory, entry),
    leave: (directory: Descriptor, entry: PathName) => isRemoved(syscalls, directory, entry),
    mounted: () => {
      throw SyscallError.named('unlinkat', 'EBUSY', `${path}: is or contains a mount point`);
    },
  };
  try {
    for (let round = 1; ; round += 1) {
      try {
        const options = { path, names: [name], consumes: true, signal };
        await TreeWalk.run(syscalls, parent.duplicate(), visitor, options);
        return;
      } catch (error) {
        if (signal.aborted && error === signal.reason)
          throw SyscallError.named('unlinkat', 'ETIMEDOUT', `${path}: removal timed out, part of it is left`);
        if (!(error instanceof UnsafePathError) || round >= maxRounds) throw error;
      }
    }
  } finally {
    parent.close();
  }
}

/** Removes an entry other than a directory. An entry that is already gone counts as removed. */
function isDirectoryLeft(
  syscalls: Syscalls,
  directory: Descriptor,
  name: PathName,
): boolean | Promise<boolean> {
  const path = Buffer.concat([Buffer.from(`${pathOf(directory)}/`), Buffer.from(name)]);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (found.isDirectory()) return true;
  if (isMainThread && found.blocks >= blocksForThread) return removedByThread(path);
  return tolerated(() => syscalls.unlinkat(directory.fd, name, 0));
}

async function removedByThread(path: Buffer): Promise<boolean> {
  try {
    await unlink(path);
    return false;
  } catch (error) {
    return isDirectory(error);
  }
}

function tolerated(removal: () => void): boolean {
  try {
    removal();
    return false;
  } catch (error) {
    return isDirectory(error);
  }
}

/** Reports whether the entry has become a directory since it was checked. */
function isDirectory(error: unknown): boolean {
  if (hasCode(error, 'EISDIR')) return true;
  if (hasCode(error, 'ENOENT')) return false;
  throw error;
}

function isRemoved(syscalls: Syscalls, parent: Descriptor, name: PathName): boolean {
  try {
    syscalls.unlinkat(parent.fd, name, At.RemoveDirectory);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return false;
    if (hasCode(error, 'ENOENT')) return true;
    // The name has been reused by something else.
    if (hasCode(error, 'ENOTDIR')) return !tolerated(() => syscalls.unlinkat(parent.fd, name, 0));
    throw error;
  }
}
