import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Directory, hasCode, mounts } from '@kata-agent/linux';
import { ephemeral, hugePageFileSystem } from './ephemeral.js';
import { hugePagesOf, removeHugePages } from './huge-pages.js';
import { unmountPlace } from './mount-point.js';
import { removeAside } from './remove-tree.js';
import type { StorageEnvironment } from './storage-driver.js';
import type { StorageRecord } from './storage-record.js';
import { closeVerity, verityName, verityOf } from './verity.js';
import { watchableBind } from './watchable-bind.js';

/**
 * Takes a storage back that an earlier agent put in place, or began to: what each of its steps may have left, in reverse,
 * whether or not the step was reached.
 */
export async function takeBackStorage(record: StorageRecord, environment: StorageEnvironment): Promise<void> {
  const { place, storage, missing } = record;
  const { syscalls, paths } = environment;
  const target = join(paths.kata, place);
  // Stacked mounts, if a release was begun or the same place was mounted twice: each goes with its own record.
  const mounted = mounts().findLast((mount) => mount.target === target);
  if (mounted !== undefined) await unmountPlace({ syscalls, paths, place });
  if (storage.driver === ephemeral.name && mounted?.type === hugePageFileSystem)
    await removeHugePages(hugePagesOf(storage.options), paths);
  const verity = verityOf(storage.options);
  if (verity !== undefined) {
    const name = verityName(verity, place);
    if (existsSync(`/dev/mapper/${name}`)) await closeVerity(name, environment);
  }
  const base = Directory.open(syscalls, paths.kata);
  try {
    if (storage.driver === watchableBind.name) await removeAside(target, environment);
    for (const path of [...missing].reverse()) removeIfEmpty(base, path);
  } finally {
    base.close();
  }
}

/** A directory, or the file that a file was bound over. */
function removeIfEmpty(base: Directory, path: string): void {
  try {
    const found = base.stat(path);
    if (found === undefined) return;
    if (found.isFile() && found.size === 0) base.unlink(path);
    else base.removeDirectory(path);
  } catch (error) {
    // Others have put something there since, or it went with the bundle.
    if (!hasCode(error, 'ENOTEMPTY', 'EBUSY', 'ENOENT', 'ENOTDIR')) throw error;
  }
}
