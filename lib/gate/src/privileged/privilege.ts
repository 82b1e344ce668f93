import type { PrivilegedReason } from '@kata-agent/catalogue';
import { posix } from 'node:path';

/** What the configuration opens of the guest beyond every container's access, as written there. */
export interface PrivilegeAccess {
  /** `/dev/fuse`, `c 10:200` or `nvidia.com/gpu=0`. */
  readonly devices: readonly string[];
  /** `/opt/models`, or `rw:/opt/models`. */
  readonly guestPaths: readonly string[];
  /** `/run/netns/podns`. */
  readonly networkNamespaces: readonly string[];
  /** `CAP_NET_ADMIN`. */
  readonly capabilities: readonly string[];
  /** Whether containers may have the process namespace of the pod. */
  readonly shareProcesses: boolean;
  /** Whether containers may have user namespaces. */
  readonly userNamespaces: boolean;
}

export const noAccess: PrivilegeAccess = {
  devices: [],
  guestPaths: [],
  networkNamespaces: [],
  capabilities: [],
  shareProcesses: false,
  userNamespaces: false,
};

/** Reports whether `guest_paths` contains the path or a directory above it; for a writable mount, with `rw:`. */
export function opensPath({ guestPaths }: PrivilegeAccess, path: string, writable: boolean): boolean {
  return guestPaths.some((entry) => {
    const open = entry.startsWith('rw:');
    return (open || !writable) && isWithin(path, open ? entry.slice('rw:'.length) : entry);
  });
}

/** Returns `posix.normalize(path)`, which takes a microsecond for a path that it would not change. */
export function normalized(path: string): string {
  const isNormal = path.startsWith('/') && !path.includes('//') && !path.includes('/.');
  return isNormal ? path : posix.normalize(path);
}

/** Reports whether a path is the directory or below it, compared by components. */
export function isWithin(path: string, directory: string): boolean {
  const clean = normalized(path);
  return clean === directory || clean.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/** A reason, with the part of the request that causes it: `CAP_SYS_ADMIN`. */
export interface Privilege {
  readonly reason: PrivilegedReason;
  readonly detail: string;
}
