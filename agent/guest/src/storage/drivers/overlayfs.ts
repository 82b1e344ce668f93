import { lentPath } from '../../media/host-media.js';
import { makeWritableLayer } from '../writable-layer.js';
import { rootPaths, sourcePlace } from '../../source/source-place.js';
import { GuestError } from '../../guest-error.js';
import { applyFsGroup, refuseFsGroup } from '../fs-group.js';
import { closedAccess } from '../../guest-access.js';
import type { OpenSource } from '../../source/open-source.js';
import { refuseFlawedRuntime } from '../../source/refuse-flawed-runtime.js';
import type { Storage } from '../../request/actions.js';
import { kernelOptions, makeParents, mountAt, removeBelow } from '../mount-point.js';
import type { StorageContext, StorageDriver } from './storage-driver.js';

/** With this option the upper layer is the container's own, in its bundle, and is removed with it. */
const OWN_UPPER = 'io.katacontainers.fs-opt.overlay-rw';

/** A driver option: a directory named in the mount's options that is created first. */
const CREATE_DIRECTORY = 'io.katacontainers.volume.overlayfs.create_directory=';

/** An overlayfs of directories that are in the guest already. */
export const overlayfs: StorageDriver = {
  name: 'overlayfs',
  ofPod: false,
  mountPoints: rootPaths,
  async prepare(storage, context) {
    refuseFsGroup(storage, context);
    const missing = storage.driverOptions
      .filter((word) => word.startsWith(CREATE_DIRECTORY))
      .map((word) => layerToMake(word.slice(CREATE_DIRECTORY.length), storage, context));
    for (const below of missing) await makeLayer(below, context);
    const layers: OpenSource[] = [];
    try {
      const options: string[] = [];
      for (const word of kernelOptions(storage.options))
        options.push(await openLayers(word, layers, context));
      const own = storage.options.includes(OWN_UPPER) ? ownUpper(context) : [];
      await mountAt(
        {
          source: 'overlay',
          fstype: 'overlay',
          options: [...fixed, ...options, ...own],
          lent: layers.map(({ descriptor }) => descriptor.fd),
        },
        context,
      );
    } finally {
      for (const { descriptor } of layers) descriptor.close();
    }
    await applyFsGroup(storage, context);
  },
};

/** Disables features by which extended attributes that the host wrote into a layer could redirect lookups. */
const fixed: readonly string[] = ['metacopy=off', 'redirect_dir=nofollow'];

function ownUpper(context: StorageContext): readonly string[] {
  if (context.owner.kind !== 'container') {
    throw new GuestError('invalid', `${OWN_UPPER}: an overlay of the sandbox belongs to no container`);
  }
  const { upper, work } = makeWritableLayer(context.owner.bundle, context.syscalls, context.made);
  return [`upperdir=${upper}`, `workdir=${work}`];
}

/**
 * Returns an option with each directory opened and replaced by the path of its descriptor, which has no overlayfs
 * separator.
 */
async function openLayers(word: string, layers: OpenSource[], context: StorageContext): Promise<string> {
  const [name = '', value = ''] = word.split('=', 2);
  if (name === 'metacopy') return 'metacopy=off';
  if (name !== 'lowerdir' && name !== 'upperdir' && name !== 'workdir') return word;
  const paths = name === 'lowerdir' ? value.split(':') : [value];
  const opened: string[] = [];
  for (const path of paths) {
    const layer = await context.open(path, name, name === 'lowerdir' ? 'layer' : 'own');
    layers.push(layer);
    await refuseFlawedRuntime(layer, context);
    if (!layer.isDirectory)
      throw new GuestError('invalid', `${name} ${JSON.stringify(path)} is not a directory`);
    if (name !== 'lowerdir' && layer.kind !== 'kata')
      throw new GuestError('refused', `${name} ${JSON.stringify(path)} is not below ${context.paths.kata}`);
    // Kata's directory is lent before the layers.
    opened.push(lentPath(layers.length));
  }
  return `${name}=${opened.join(':')}`;
}

/**
 * Returns the path, below Kata's directory, of a directory to create: an allowed source, in no other container's
 * directories, and a layer of this storage that the container writes to.
 */
function layerToMake(path: string, { options }: Storage, context: StorageContext): string {
  const { paths, owner, refuseOthers } = context;
  const container = owner.kind === 'container' ? owner.id : undefined;
  const named = 'directory to create';
  const place = sourcePlace({ path, named, container }, { paths, access: closedAccess });
  const words = options.flatMap((option) => option.split(','));
  if (!words.includes(`upperdir=${path}`) && !words.includes(`workdir=${path}`))
    throw new GuestError('refused', `${named} ${JSON.stringify(path)} is neither upperdir nor workdir`);
  refuseOthers(place.path);
  return place.below;
}

/** Creates the missing directories of a layer's path. What the container writes there is removed with the storage. */
async function makeLayer(below: string, context: StorageContext): Promise<void> {
  const missing = await context.media.run('missingPlaces', { places: [below] }, [context.base.fd]);
  const isThere = missing.length === 0;
  await makeParents(context, below);
  if (!isThere) context.made.push(`files in ${below}`, () => removeBelow(context, below));
}
