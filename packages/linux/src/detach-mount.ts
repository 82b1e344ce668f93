import { close } from 'node:fs';
import { promisify } from 'node:util';
import { At, Open, Unmount } from './constants.js';
import { Descriptor } from './descriptor.js';
import type { Syscalls } from './syscalls.js';

const closeByThread = promisify(close);

/**
 * Takes the topmost mount at a path out of the tree, with those in it, and waits until it has ended, unless somebody else
 * uses it. Its end frees a tmpfs's memory and writes what a disk has not yet: seconds, in which other work goes on, since
 * what ends it is the last use of it, which a thread gives up. EINVAL: nothing is mounted there.
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
