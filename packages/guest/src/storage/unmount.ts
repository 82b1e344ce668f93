import { hasCode, Unmount, unmountTree, type Syscalls } from '@kata-agent/linux';

/**
 * Unmounts what is mounted at this path. In use, or with mounts of its own: all of it is detached, which takes it out of
 * the tree at once and ends it with its last user. Not mounted any more: fine.
 */
export function unmount(target: string, syscalls: Syscalls): void {
  try {
    syscalls.umount2(target, Unmount.NoFollow);
  } catch (error) {
    if (hasCode(error, 'EBUSY')) unmountTree(syscalls, target);
    else if (!hasCode(error, 'EINVAL', 'ENOENT')) throw error;
  }
}
