import { posix } from 'node:path';

/** What the configuration opens of the guest beside what every container has, as it is written there. */
export interface PrivilegeAccess {
  /** `/dev/fuse` or `c 10:200`. */
  readonly devices: readonly string[];
  /** `/opt/models`, or `rw:/opt/models`. */
  readonly guestPaths: readonly string[];
}

export const noAccess: PrivilegeAccess = { devices: [], guestPaths: [] };

/** Whether `guest_paths` names the path or a directory above it; for a mount that is not read-only with `rw:`. */
export function opensPath({ guestPaths }: PrivilegeAccess, path: string, writable: boolean): boolean {
  return guestPaths.some((entry) => {
    const open = entry.startsWith('rw:');
    return (open || !writable) && isWithin(path, open ? entry.slice('rw:'.length) : entry);
  });
}

/** Whether a path is a directory or lies below it, name by name. */
export function isWithin(path: string, directory: string): boolean {
  const clean = posix.normalize(path);
  return clean === directory || clean.startsWith(directory === '/' ? '/' : `${directory}/`);
}
