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

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Lent: Kata's directory. */
    readonly grantFsGroup: (args: FsGroupGrant) => void;
  }
}

const SETGID = 0o2000;

/** Group and permissions that a volume's files get. */
interface GroupAccess {
  readonly group: number;
  /** Permission bits of files; directories also get search permission and setgid. */
  readonly rights: number;
}

/** What a volume's files are given. */
export interface FsGroupGrant extends Pick<Storage, 'options' | 'mountPoint'> {
  readonly fsGroup: NonNullable<Storage['fsGroup']>;
  readonly place: string;
}

/** Does what `applyFsGroup` describes. `base`: Kata's directory. `progress` is called for each file. */
export async function grantFsGroup(
  { fsGroup, options, mountPoint, place }: FsGroupGrant,
  base: Directory,
  syscalls: Syscalls,
  progress: () => void,
): Promise<void> {
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
    await grantAll(syscalls, directory, mountPoint, wantedAccess, progress);
  } finally {
    directory.close();
  }
}

function grantAll(
  syscalls: Syscalls,
  directory: Directory,
  path: string,
  access: GroupAccess,
  progress: () => void,
): Promise<void> {
  return directory.walk(path, {
    enter: (parent, name) => {
      progress();
      return enter(syscalls, parent, name, access);
    },
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
