import { mkdirSync, statfsSync } from 'node:fs';
import { MountFlag, type Syscalls } from '@kata-agent/linux';

/** File systems that the kernel unpacks an initramfs into (include/uapi/linux/magic.h). */
const initramfsTypes: ReadonlySet<number> = new Set([0x858458f6, 0x01021994]);

const newRoot = '/.root';

export function isInitramfs(): boolean {
  return initramfsTypes.has(statfsSync('/').type);
}

/**
 * Moves this process, and its children, to a root that is a mount of its own. An initramfs is the root of the mount
 * tree, which cannot be replaced: pivot_root(2), which the OCI runtime uses, fails there with EINVAL. A bind mount of
 * it, moved on top, is an ordinary root, and nothing is copied. Must precede any other mount.
 */
export function leaveInitramfs(syscalls: Syscalls): void {
  mkdirSync(newRoot, { recursive: true });
  syscalls.mount('/', newRoot, '', MountFlag.Bind, '');
  process.chdir(newRoot);
  syscalls.mount('.', '/', '', MountFlag.Move, '');
  syscalls.chroot('.');
  process.chdir('/');
}
