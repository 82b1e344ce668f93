import { close } from 'node:fs';
import { promisify } from 'node:util';
import { At, Open, Unmount } from '../syscalls/constants.js';
import { Descriptor } from '../fs/descriptor.js';
import type { Syscalls } from '../syscalls/syscalls.js';

const closeByThread = promisify(close);

/**
 * Does the same as `detachMount` in the calling thread, which the release of a share or a disk may block: for threads that may wait
 * for the host.
 */
export function detachMountHere(syscalls: Syscalls, target: string): void {
  const held = new Descriptor(syscalls, syscalls.openat(At.Cwd, target, Open.Path | Open.NoFollow));
  try {
    syscalls.umount2(target, Unmount.Detach | Unmount.NoFollow);
  } finally {
    held.close();
  }
}

/**
 * Detaches the topmost mount at a path with its submounts, and waits until it is released, unless it is still in use
 * elsewhere. Releasing frees a tmpfs's memory and flushes a disk, which may take seconds. It happens in a thread that
 * drops the last reference, so the event loop is not blocked. EINVAL: the path is not a mount point.
 */
export async function detachMount(syscalls: Syscalls, target: string): Promise<void> {
  const held = new Descriptor(syscalls, syscalls.openat(At.Cwd, target, Open.Path | Open.NoFollow));
  try {
    syscalls.umount2(target, Unmount.Detach | Unmount.NoFollow);
  } catch (error) {
    held.close();
    throw error;
  }
  await closeByThread(held.take());
}
