import { join } from 'node:path';
import { mounts } from '@kata-agent/linux';
import { ephemeral, hugePageFileSystem } from './drivers/ephemeral.js';
import { hugePagesOf, removeHugePages } from './drivers/huge-pages.js';
import { layersDirectory, multiLayerErofs } from './drivers/multi-layer-erofs.js';
import { KataOptions } from './kata-options.js';
import { unmountPlace } from './mount-point.js';
import { rootLayersOf } from './root-layers.js';
import { removeAside } from '../removal/remove-tree.js';
import type { StorageEnvironment } from './drivers/storage-driver.js';
import type { SavedStorage } from './saved-storage.js';
import { closeVerity, verityName, verityOf } from './drivers/verity.js';
import { watchableBind } from './drivers/watchable-bind.js';

/**
 * Releases a storage that an earlier agent mounted, or began to: undoes each step in reverse order, whether or not it
 * was reached.
 */
export async function rollBackStorage(record: SavedStorage, environment: StorageEnvironment): Promise<void> {
  const { place, storage, missing } = record;
  const { media, paths } = environment;
  const target = join(paths.kata, place);
  // Stacked mounts, if a release was interrupted or the same path was mounted twice: each is unmounted with its own
  // record.
  const mounted = mounts().findLast((mount) => mount.target === target);
  if (mounted !== undefined) await unmountPlace({ media, paths, place });
  if (storage.driver === ephemeral.name && mounted?.type === hugePageFileSystem)
    await removeHugePages(hugePagesOf(storage.options), paths);
  const { owner } = record;
  if (storage.driver === multiLayerErofs.name && owner.kind === 'container')
    await media.run('unmountTree', { directory: join(owner.bundle, layersDirectory) });
  for (const name of verityNames(storage, place)) await closeVerity(name, environment);
  if (storage.driver === watchableBind.name) await removeAside(target, environment);
  await media.run('removeIfEmpty', { kata: paths.kata, places: missing.toReversed() });
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
