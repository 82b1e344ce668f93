import { join } from 'node:path';
import { Directory, hasCode, mounts, unmountTree } from '@kata-agent/linux';
import { ephemeral, hugePageFileSystem } from './drivers/ephemeral.js';
import { hugePagesOf, removeHugePages } from './drivers/huge-pages.js';
import { layersDirectory, multiLayerErofs } from './drivers/multi-layer-erofs.js';
import { KataOptions } from './kata-options.js';
import { unmountPlace } from './mount-point.js';
import { rootLayersOf } from './root-layers.js';
import { removeAside } from './remove-tree.js';
import type { StorageEnvironment } from './drivers/storage-driver.js';
import type { SavedStorage } from './saved-storage.js';
import { closeVerity, verityName, verityOf } from './drivers/verity.js';
import { watchableBind } from './drivers/watchable-bind.js';

/**
 * Releases a storage that an earlier agent mounted, or began to: undoes each step in reverse order, whether or not it
 * was reached.
 */
export async function takeBackStorage(record: SavedStorage, environment: StorageEnvironment): Promise<void> {
  const { place, storage, missing } = record;
  const { syscalls, paths } = environment;
  const target = join(paths.kata, place);
  // Stacked mounts, if a release was interrupted or the same path was mounted twice: each is unmounted with its own
  // record.
  const mounted = mounts().findLast((mount) => mount.target === target);
  if (mounted !== undefined) await unmountPlace({ syscalls, paths, place });
  if (storage.driver === ephemeral.name && mounted?.type === hugePageFileSystem)
    await removeHugePages(hugePagesOf(storage.options), paths);
  const { owner } = record;
  if (storage.driver === multiLayerErofs.name && owner.kind === 'container')
    unmountTree(syscalls, join(owner.bundle, layersDirectory));
  for (const name of verityNames(storage, place)) closeVerity(name, environment);
  const base = Directory.open(syscalls, paths.kata);
  try {
    if (storage.driver === watchableBind.name) await removeAside(target, environment);
    for (const path of [...missing].reverse()) removeIfEmpty(base, path);
  } finally {
    base.close();
  }
}

/** Returns the names of the verity devices that a storage may have. */
function verityNames(storage: SavedStorage['storage'], place: string): readonly string[] {
  if (storage.driver === multiLayerErofs.name)
    return rootLayersOf(storage).lowers.flatMap(({ verity }, index) =>
      verity === undefined ? [] : [verityName(verity, place, index)],
    );
  const verity = verityOf(KataOptions.parse(storage.options, 'layer'));
  return verity === undefined ? [] : [verityName(verity, place)];
}

/** Removes an empty directory, or the empty file that is the mount point of a file. */
function removeIfEmpty(base: Directory, path: string): void {
  try {
    const found = base.stat(path);
    if (found === undefined) return;
    if (found.isFile() && found.size === 0) base.unlink(path);
    else base.removeDirectory(path);
  } catch (error) {
    // Not empty, or removed with the bundle.
    if (!hasCode(error, 'ENOTEMPTY', 'EBUSY', 'ENOENT', 'ENOTDIR')) throw error;
  }
}
