import { dirname, join } from 'node:path';
import { Directory } from '@kata-agent/linux';
import { HeldDisk } from '../../device/held-disk.js';
import { makeWritableLayer } from '../../container/writable-layer.js';
import { rootPlaces } from '../../source/root-places.js';
import { GuestError } from '../../error/guest-error.js';
import { quotedPath } from '../../quoted.js';
import type { Storage } from '../../request/actions.js';
import { mountAt } from '../mount-point.js';
import {
  type LayerDirectory,
  layersDriver,
  type RootLayer,
  type RootLayers,
  rootLayersOf,
} from '../root-layers.js';
import { makeDirectory, mountErofs, mountLayer, mountOverlay, overlayOf } from './layer-mounts.js';
import type { StorageContext, StorageDriver } from './storage-driver.js';
import { openVerity, verityName } from './verity.js';

/** The directory in a container's bundle with the mounts of its layers. */
export const layersDirectory = 'layers';

/** Where the root of verified layers is mounted there: at no path that a request can name. */
export const verifiedRootName = 'root';

/**
 * The root of a container from EROFS layers, each a disk or a partition, and a writable layer: a disk with ext4, or
 * memory (Kata 4.1, src/agent/src/storage/multi_layer_erofs.rs). The layers are mounted in the container's bundle, where
 * no request can name them.
 */
export const multiLayerErofs: StorageDriver = {
  name: layersDriver,
  ofPod: false,
  mountPoints: rootPlaces,
  needs(storage) {
    const { upper, lowers } = rootLayersOf(storage);
    return [...(upper === undefined ? [] : [upper]), ...lowers].map(({ wanted }) => wanted);
  },
  prepare,
  async resume(storage, { devices, disks, made }) {
    // The kernel has claimed the disks; a second container of the same image needs to know that they are layers.
    for (const { wanted } of rootLayersOf(storage).lowers) {
      if (!devices.has(wanted)) continue;
      made.push('layer', disks.takeLayerAgain(devices.find(wanted)));
    }
  },
};

async function prepare(storage: Storage, context: StorageContext): Promise<void> {
  const { owner, syscalls } = context;
  if (owner.kind !== 'container')
    throw new GuestError('refused', 'layers of a root: the sandbox has none, a container has');
  const layers = rootLayersOf(storage);
  const directory = join(owner.bundle, layersDirectory);
  makeDirectory(directory, context);
  const opened: Directory[] = [];
  const open = (path: string): Directory => {
    const found = Directory.open(syscalls, path);
    opened.push(found);
    return found;
  };
  try {
    const writable = open(await mountUpper(layers, directory, owner.bundle, context));
    const lowers: Directory[] = [];
    for (const [index, layer] of layers.lowers.entries())
      lowers.push(open(await mountLower(layer, index, directory, context)));
    const [top] = lowers;
    for (const each of layers.directories) makeLayerDirectory(each, writable, top);
    const makeIn = (name: string): Directory => {
      const made = writable.makeDirectory(name, { mode: 0o755 });
      opened.push(made);
      return made;
    };
    const overlay = { lowers, upper: makeIn('upper'), work: makeIn('work') };
    if (context.verifiedLayers)
      await mountOverlay(join(directory, verifiedRootName), overlayOf(overlay), context);
    else {
      const { options, lent } = overlayOf(overlay, [context.base.fd]);
      await mountAt({ source: 'overlay', fstype: 'overlay', options, lent: lent.slice(1) }, context);
    }
  } finally {
    for (const each of opened) each.close();
  }
}

/** Mounts the writable layer, and returns the directory that is to contain `upper` and `work`. */
async function mountUpper(
  { upper }: RootLayers,
  directory: string,
  bundle: string,
  context: StorageContext,
): Promise<string> {
  if (upper === undefined) return dirname(makeWritableLayer(bundle, context.syscalls, context.made).upper);
  const disk = context.devices.find(upper.wanted);
  context.made.push(`disk ${disk}`, context.disks.take(disk));
  await context.media.run('refuseSecondDevice', { device: disk, fstype: 'ext4' });
  const options = ['nosuid', 'nodev', ...upper.options];
  return mountLayer(disk, join(directory, 'upper'), { type: 'ext4', options }, context);
}

async function mountLower(
  layer: RootLayer,
  index: number,
  directory: string,
  context: StorageContext,
): Promise<string> {
  const { verity } = layer;
  const disk = HeldDisk.open(context.syscalls, context.devices.find(layer.wanted));
  try {
    context.made.push(`disk ${disk.named}`, context.disks.takeLayer(disk));
    // The kernel holds the disk for the device that is made of it.
    return await context.disks.duringMapping(async () => {
      const device =
        verity === undefined
          ? disk.named
          : await openVerity(
              { disk: disk.number, named: disk.named },
              verity,
              verityName(verity, context.place, index),
              context,
            );
      return mountErofs(device, join(directory, `lower-${index}`), layer.options, context);
    });
  } finally {
    disk.close();
  }
}

/** A read-only layer cannot get a directory: it must have it. */
function makeLayerDirectory(
  { in: layer, path }: LayerDirectory,
  upper: Directory,
  top: Directory | undefined,
): void {
  if (layer === 'upper') {
    upper.makeDirectory(path, { mode: 0o755 }).close();
    return;
  }
  if (top?.stat(path)?.isDirectory() !== true)
    throw new GuestError(
      'invalid',
      `layers of a root: the topmost read-only layer has no directory ${quotedPath(path)}`,
    );
}
