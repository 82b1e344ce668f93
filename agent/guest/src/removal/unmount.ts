import { detachMount, hasCode, type Syscalls } from '@kata-agent/linux';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Unmounts a path with the mounts below it; does nothing if it is not a mount point. */
    readonly unmount: (args: { readonly target: string }) => void;
    readonly unmountTree: (args: { readonly directory: string }) => void;
  }
}

/**
 * Unmounts a path with the mounts below it. If it is busy it is detached (MNT_DETACH) and ends with its last user; else
 * it has ended when this resolves. Does nothing if the path is not a mount point.
 */
export async function unmount(target: string, syscalls: Syscalls): Promise<void> {
  try {
    await detachMount(syscalls, target);
  } catch (error) {
    if (!hasCode(error, 'EINVAL', 'ENOENT')) throw error;
  }
}
