import { lstatSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { At } from './constants.js';
import type { Descriptor } from './descriptor.js';
import { UnsafePathError } from './safe-path.js';
import { hasCode, SyscallError } from './syscall-error.js';
import type { PathName, Syscalls } from './syscalls.js';
import { pathOf, TreeWalk } from './walk-tree.js';

export interface RemoveOptions {
  /** Aborted, the removal ends with ETIMEDOUT, and some of the tree is left. Absent: that is after a minute. */
  readonly signal?: AbortSignal | undefined;
}

/** Millions of files are gone by then, but for those that somebody makes as fast as they are removed. */
const patienceMs = 60_000;

/** Somebody who moves directories about makes a walk lose its way; so often it is begun again. */
const maxRounds = 16;

/** The kernel takes longer than a slice to free a file of so many blocks (of 512 bytes): a thread waits for it. */
const blocksForThread = 32 * 2048;

/**
 * Removes what has a name in an open directory, which it owns from now on, and all below it. Symbolic links are removed as
 * such. EBUSY at a mount: what is mounted is not ours to remove.
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
      throw SyscallError.named('unlinkat', 'EBUSY', `${path}: mounted there or below`);
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
          throw SyscallError.named(
            'unlinkat',
            'ETIMEDOUT',
            `${path}: not all of it could be removed in time`,
          );
        if (!(error instanceof UnsafePathError) || round >= maxRounds) throw error;
      }
    }
  } finally {
    parent.close();
  }
}

/** Removes anything but a directory. What is gone already counts as removed. */
function isDirectoryLeft(
  syscalls: Syscalls,
  directory: Descriptor,
  name: PathName,
): boolean | Promise<boolean> {
  const path = Buffer.concat([Buffer.from(`${pathOf(directory)}/`), Buffer.from(name)]);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (found.isDirectory()) return true;
  if (found.blocks >= blocksForThread) return removedByThread(path);
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

/** It became one since it was looked at. */
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
    // Something else has its name by now.
    if (hasCode(error, 'ENOTDIR')) return !tolerated(() => syscalls.unlinkat(parent.fd, name, 0));
    throw error;
  }
}
