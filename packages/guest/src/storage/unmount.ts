import { detachMount, hasCode, type Syscalls } from '@kata-agent/linux';

/**
 * Unmounts what is mounted at this path, with mounts of its own. In use, it is taken out of the tree at once and ends with its
 * last user; else it has ended when this resolves. Not mounted any more: fine.
 */
export async function unmount(target: string, syscalls: Syscalls): Promise<void> {
  try {
    await detachMount(syscalls, target);
  } catch (error) {
    if (!hasCode(error, 'EINVAL', 'ENOENT')) throw error;
  }
}
