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
import type { Storage } from '../actions.js';
import { GuestError } from '../guest-error.js';
import type { StorageContext } from './storage-driver.js';

const SETGID = 0o2000;

/** What a volume's files get. */
interface Gift {
  readonly group: number;
  /** Permission bits of files; directories can be entered too, and what is made in them has the group. */
  readonly rights: number;
}

/**
 * Gives a volume to a pod's group (Kubernetes fsGroup): every file and directory in it, with the rights to read and,
 * unless the volume is read-only, to write. With `on-root-mismatch` a root that is right already stands for all; so it
 * becomes right last. What is mounted inside is another volume's matter.
 */
export async function applyFsGroup(
  { fsGroup, options, mountPoint }: Storage,
  { base, place, syscalls }: Pick<StorageContext, 'base' | 'place' | 'syscalls'>,
): Promise<void> {
  if (fsGroup === undefined) return;
  const gift = { group: fsGroup.groupId, rights: options.includes('ro') ? 0o440 : 0o660 };
  const root = base.stat(place);
  if (root === undefined) return;
  const wanted = gift.rights | 0o110 | SETGID;
  if (
    fsGroup.changePolicy === 'on-root-mismatch' &&
    root.gid === gift.group &&
    (root.mode & wanted) === wanted
  ) {
    return;
  }
  if (!root.isDirectory()) {
    const file = base.file(place, Open.ReadOnly);
    try {
      give(syscalls, file, gift);
    } finally {
      file.close();
    }
    return;
  }
  const directory = base.directory(place);
  try {
    await giveAll(syscalls, directory, mountPoint, gift);
  } finally {
    directory.close();
  }
}

/**
 * Refuses fsGroup for files that are there whether or not the create succeeds: what it changes would stay. Kata's runtimes send
 * it for disks (Kata 4.1: container.go, block_emptydir_volume.rs).
 */
export function refuseFsGroup(
  { fsGroup, driver, mountPoint }: Storage,
  { access }: Pick<StorageContext, 'access'>,
): void {
  if (fsGroup === undefined || access.privileged === 'allow') return;
  throw new GuestError(
    'refused',
    `fsGroup ${fsGroup.groupId} of the ${driver} storage at ${JSON.stringify(mountPoint)} is refused: give the volume as a disk, or set privileged_containers = "allow"`,
  );
}

function giveAll(syscalls: Syscalls, directory: Directory, path: string, gift: Gift): Promise<void> {
  return directory.walk(path, {
    enter: (parent, name) => enter(syscalls, parent, name, gift),
    finish: (found) => give(syscalls, found, gift),
    mounted: () => undefined,
  });
}

/** Links stay as they are, and devices: their rights are not the volume's. */
function enter(syscalls: Syscalls, parent: Descriptor, name: PathName, gift: Gift): boolean {
  const found = openIfThere(syscalls, parent, name);
  if (found === undefined) return false;
  try {
    const stats = fstatSync(found.fd);
    if (stats.isFile()) give(syscalls, found, gift);
    return stats.isDirectory();
  } finally {
    found.close();
  }
}

/** Undefined: it has gone since it was listed. */
function openIfThere(syscalls: Syscalls, parent: Descriptor, name: PathName): Descriptor | undefined {
  try {
    return new Descriptor(syscalls, syscalls.openat(parent.fd, name, Open.Path | Open.NoFollow));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** By descriptor, so that owner and rights go to the same file, whatever has its name by now. */
function give(syscalls: Syscalls, { fd }: Descriptor, { group, rights }: Gift): void {
  if (fstatSync(fd).gid !== group) syscalls.fchownat(fd, '', -1, group, At.EmptyPath);
  const stats = fstatSync(fd);
  const added = stats.isDirectory() ? rights | 0o110 | SETGID : rights;
  const mode = stats.mode & 0o7777;
  if ((mode | added) !== mode) chmodSync(`/proc/self/fd/${fd}`, mode | added);
}
