import { mkdirSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Descriptor, type MountRequest } from '@kata-agent/linux';
import { HeldDisk } from '../../device/held-disk.js';
import { makeWritableLayer } from '../writable-layer.js';
import { rootPaths } from '../../source/source-place.js';
import { GuestError } from '../../guest-error.js';
import { lentPath } from '../../media/host-media.js';
import type { Storage } from '../../request/actions.js';
import { mountAt } from '../mount-point.js';
import type { MountedLayers } from '../open-layers.js';
import { layersDriver, type RootLayer, type RootLayers, rootLayersOf } from '../root-layers.js';
import type { StorageContext, StorageDriver } from './storage-driver.js';
import { openVerity, verityName } from './verity.js';

/** Disables features by which extended attributes in a layer could redirect lookups, and devices of the layers. */
const fixed: readonly string[] = ['nodev', 'metacopy=off', 'redirect_dir=nofollow', 'index=off'];

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
  mountPoints: rootPaths,
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
  const { owner } = context;
  if (owner.kind !== 'container')
    throw new GuestError('refused', 'layers of a root: the sandbox has none, a container has');
  const layers = rootLayersOf(storage);
  const directory = join(owner.bundle, layersDirectory);
  makeDirectory(directory, context);
  const writable = await mountUpper(layers, directory, owner.bundle, context);
  const lowers: string[] = [];
  for (const [index, layer] of layers.lowers.entries())
    lowers.push(await mountLower(layer, index, directory, context));
  const mounted = { writable, lowers, directories: layers.directories, asTop: false };
  if (context.verifiedLayers)
    await withOverlay(mounted, context, (overlay) =>
      mountOverlay(join(directory, verifiedRootName), overlay, context),
    );
  else
    await withOverlay(
      mounted,
      context,
      ({ options, lent }) =>
        mountAt({ source: 'overlay', fstype: 'overlay', options, lent: lent.slice(1) }, context),
      [context.base.fd],
    );
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
  context.made.push(`disk ${disk}`, await context.disks.take(disk));
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
  const disk = await HeldDisk.open(context.devices.find(layer.wanted), context);
  try {
    context.made.push(`disk ${disk.named}`, await context.disks.takeLayer(disk));
    // The kernel holds the disk for the device that is made of it.
    return await context.disks.duringMapping(async () => {
      const device =
        verity === undefined
          ? disk.named
          : await openVerity(disk, verity, verityName(verity, context.place, index), context);
      return mountErofs(device, join(directory, `lower-${index}`), layer.options, context);
    });
  } finally {
    await disk.close();
  }
}

declare module '../../media/host-media.js' {
  interface MediaTasks {
    /** Mounts at a directory of the agent. Lent: what the options name by `lentPath`. */
    readonly mount: (args: MountRequest) => { readonly target: string };
  }
}

type MountContext = Pick<StorageContext, 'media' | 'made'>;

/** The options of an overlay, and the descriptors that they name. */
interface OverlayLayers {
  readonly options: readonly string[];
  readonly lent: readonly number[];
}

/**
 * Opens the directories of an overlay while a function mounts it. The options name descriptors: the paths could contain overlayfs'
 * separators.
 *
 * @param before descriptors that are lent before these
 */
export async function withOverlay(
  layers: MountedLayers,
  { media, syscalls }: Pick<StorageContext, 'media' | 'syscalls'>,
  use: (overlay: OverlayLayers) => Promise<void>,
  before: readonly number[] = [],
): Promise<void> {
  const { lowers, upper, work } = await media.run('openLayers', layers);
  const opened = [...lowers, upper, work].map((fd) => new Descriptor(syscalls, fd));
  try {
    const at = before.length + lowers.length;
    const below = lowers.map((_, index) => lentPath(before.length + index)).join(':');
    await use({
      options: [...fixed, `lowerdir=${below}`, `upperdir=${lentPath(at)}`, `workdir=${lentPath(at + 1)}`],
      lent: [...before, ...opened.map(({ fd }) => fd)],
    });
  } finally {
    for (const each of opened) each.close();
  }
}

/** Mounts an overlay at a new directory. */
export async function mountOverlay(
  target: string,
  { options, lent }: OverlayLayers,
  context: MountContext,
): Promise<void> {
  await mountLayer('overlay', target, { type: 'overlay', options, lent }, context);
}

/** Mounts a read-only layer at a new directory, which it returns. */
export async function mountErofs(
  device: string,
  target: string,
  options: readonly string[],
  context: MountContext,
): Promise<string> {
  await context.media.run('refuseSecondDevice', { device, fstype: 'erofs' });
  return mountLayer(
    device,
    target,
    { type: 'erofs', options: [...options, 'ro', 'nosuid', 'nodev'] },
    context,
  );
}

/** Mounts a layer at a new directory, which it returns. */
async function mountLayer(
  source: string,
  target: string,
  {
    type,
    options,
    lent = [],
  }: { readonly type: string; readonly options: readonly string[]; readonly lent?: readonly number[] },
  context: MountContext,
): Promise<string> {
  const { media, made } = context;
  makeDirectory(target, context);
  await media.run('mount', { source, target, type, options }, lent);
  made.push(`mount at ${target}`, () => media.run('unmount', { target }));
  return target;
}

function makeDirectory(path: string, { made }: Pick<MountContext, 'made'>): void {
  mkdirSync(path, { mode: 0o700 });
  made.push(`directory ${path}`, () => rmdirSync(path));
}
