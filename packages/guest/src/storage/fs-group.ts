import { chmodSync, fstatSync } from 'node:fs';
import {
  At,
  Descriptor,
  type Directory,
  hasCode,
  Open,
  type PathName,
  type Syscalls,
} from '@kata-agent/linux';
import type { Storage } from '../request/actions.js';
import { GuestError } from '../error/guest-error.js';
import type { StorageContext } from './drivers/storage-driver.js';

const SETGID = 0o2000;

/** Group and permissions that a volume's files get. */
interface GroupAccess {
  readonly group: number;
  /** Permission bits of files; directories also get search permission and setgid. */
  readonly rights: number;
}

/**
 * Gives a volume to a pod's group (Kubernetes fsGroup): every file and directory in it, readable and, unless the volume
 * is read-only, writable. With `on-root-mismatch`, a volume whose root matches is skipped; so the root is changed last.
 * Does not descend into other mounts.
 */
export async function applyFsGroup(
  { fsGroup, options, mountPoint }: Storage,
  { base, place, syscalls }: Pick<StorageContext, 'base' | 'place' | 'syscalls'>,
): Promise<void> {
  if (fsGroup === undefined) return;
  const wantedAccess = { group: fsGroup.groupId, rights: options.includes('ro') ? 0o440 : 0o660 };
  const root = base.stat(place);
  if (root === undefined) return;
  const wanted = wantedAccess.rights | 0o110 | SETGID;
  if (
    fsGroup.changePolicy === 'on-root-mismatch' &&
    root.gid === wantedAccess.group &&
    (root.mode & wanted) === wanted
  ) {
    return;
  }
  if (!root.isDirectory()) {
    const file = base.file(place, Open.ReadOnly);
    try {
      grant(syscalls, file, wantedAccess);
    } finally {
      file.close();
    }
    return;
  }
  const directory = base.directory(place);
  try {
    await grantAll(syscalls, directory, mountPoint, wantedAccess);
  } finally {
    directory.close();
  }
}

/**
 * Refuses fsGroup for files that existed before the create: if the create failed, the change would stay. Kata's
 * runtimes send it for disks (Kata 4.1: container.go, block_emptydir_volume.rs).
 */
export function refuseFsGroup(
  { fsGroup, driver, mountPoint }: Storage,
  { access }: Pick<StorageContext, 'access'>,
): void {
  if (fsGroup === undefined || access.privileged === 'allow') return;
  throw new GuestError(
    'refused',
    `fsGroup ${fsGroup.groupId} of the ${driver} storage at ${JSON.stringify(mountPoint)} is refused; help: provide the volume as a disk, or set privileged_containers = "allow"`,
  );
}

function grantAll(
  syscalls: Syscalls,
  directory: Directory,
  path: string,
  access: GroupAccess,
): Promise<void> {
  return directory.walk(path, {
    enter: (parent, name) => enter(syscalls, parent, name, access),
    finish: (found) => grant(syscalls, found, access),
    mounted: () => undefined,
  });
}

/** Grants access to a file; reports whether it is a directory to descend into. Links and devices are left unchanged. */
function enter(syscalls: Syscalls, parent: Descriptor, name: PathName, access: GroupAccess): boolean {
  const found = openIfThere(syscalls, parent, name);
  if (found === undefined) return false;
  try {
    const stats = fstatSync(found.fd);
    if (stats.isFile()) grant(syscalls, found, access);
    return stats.isDirectory();
  } finally {
    found.close();
  }
}

/** Undefined: removed since it was listed. */
function openIfThere(syscalls: Syscalls, parent: Descriptor, name: PathName): Descriptor | undefined {
  try {
    return new Descriptor(syscalls, syscalls.openat(parent.fd, name, Open.Path | Open.NoFollow));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** By descriptor, so that owner and mode apply to the same file after a rename. */
function grant(syscalls: Syscalls, { fd }: Descriptor, { group, rights }: GroupAccess): void {
  if (fstatSync(fd).gid !== group) syscalls.fchownat(fd, '', -1, group, At.EmptyPath);
  const stats = fstatSync(fd);
  const added = stats.isDirectory() ? rights | 0o110 | SETGID : rights;
  const mode = stats.mode & 0o7777;
  if ((mode | added) !== mode) chmodSync(`/proc/self/fd/${fd}`, mode | added);
}
