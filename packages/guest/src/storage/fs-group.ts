import { fchmodSync, fstatSync } from 'node:fs';
import { type Directory, Open } from '@kata-agent/linux';
import type { Storage } from '../actions.js';
import type { StorageContext } from './storage-driver.js';

const SETGID = 0o2000;

/**
 * Gives a volume to a pod's group (Kubernetes fsGroup): every file and directory in it, with the rights to read and,
 * unless the volume is read-only, to write. With `on-root-mismatch` a root that is right already stands for all.
 */
export async function applyFsGroup(storage: Storage, { base, place }: StorageContext): Promise<void> {
  const { fsGroup } = storage;
  if (fsGroup === undefined) return;
  const rights = storage.options.includes('ro') ? 0o440 : 0o660;
  const root = base.stat(place);
  if (root === undefined) return;
  const wanted = rights | 0o110 | SETGID;
  if (
    fsGroup.changePolicy === 'on-root-mismatch' &&
    root.gid === fsGroup.groupId &&
    (root.mode & wanted) === wanted
  ) {
    return;
  }
  if (!root.isDirectory()) return giveFile(base, place, fsGroup.groupId, rights);
  const directory = base.directory(place);
  try {
    base.changeOwner(place, -1, fsGroup.groupId);
    await giveDirectory(directory, root.mode, fsGroup.groupId, rights);
  } finally {
    directory.close();
  }
}

/** Links stay as they are, and devices: their rights are not the volume's. */
async function giveDirectory(
  directory: Directory,
  mode: number,
  group: number,
  rights: number,
): Promise<void> {
  for (const bytes of directory.names()) {
    const name = bytes.toString();
    const found = directory.stat(name);
    if (found?.isDirectory() === true) {
      const inner = directory.directory(name);
      try {
        directory.changeOwner(name, -1, group);
        await giveDirectory(inner, found.mode, group, rights);
      } finally {
        inner.close();
      }
    } else if (found?.isFile() === true) {
      giveFile(directory, name, group, rights);
    }
  }
  directory.changeMode((mode & 0o7777) | rights | 0o110 | SETGID);
}

function giveFile(directory: Directory, name: string, group: number, rights: number): void {
  directory.changeOwner(name, -1, group);
  const file = directory.file(name, Open.ReadOnly);
  try {
    fchmodSync(file.fd, (fstatSync(file.fd).mode & 0o7777) | rights);
  } finally {
    file.close();
  }
}
