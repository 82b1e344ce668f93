import { closeSync, openSync } from 'node:fs';
import type { Syscalls } from '../syscalls/syscalls.js';
import { leaveNamespace, walkNamespace } from './foreign-namespace.js';

/**
 * Sets `MountAttribute` bits of mounts of another mount namespace, each by the absolute path of its mount point there; of several at
 * one path, of the topmost. No link is followed. The kernel changes only mounts of the caller's namespace: this thread
 * enters it and returns within one synchronous call, as `graftMount`.
 *
 * @param namespace `/proc/<pid>/ns/mnt`
 */
export function restrictMounts(
  syscalls: Syscalls,
  namespace: string,
  paths: readonly string[],
  attributes: number,
): void {
  const open: number[] = [];
  const keep = (fd: number): number => {
    open.push(fd);
    return fd;
  };
  try {
    const [own, target] = [keep(openSync('/proc/self/ns/mnt', 'r')), keep(openSync(namespace, 'r'))];
    syscalls.unshareFs();
    try {
      syscalls.setNamespace(target, 'mnt');
      for (const path of paths)
        syscalls.mountSetattr(
          walkNamespace(syscalls, path, keep),
          { set: attributes, clear: 0, propagation: 0 },
          false,
        );
    } finally {
      leaveNamespace(syscalls, own);
    }
  } finally {
    for (const fd of open) closeSync(fd);
  }
}
