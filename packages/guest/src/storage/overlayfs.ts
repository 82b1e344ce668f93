import { makeWritableLayer } from '../container/writable-layer.js';
import { GuestError } from '../guest-error.js';
import { applyFsGroup, refuseFsGroup } from './fs-group.js';
import { closedAccess } from '../guest-access.js';
import type { OpenSource } from '../source/open-source.js';
import { sourcePlace } from '../source/source-place.js';
import type { Storage } from '../actions.js';
import { kernelOptions, makeParents, mountAt, removeBelow } from './mount-point.js';
import type { StorageContext, StorageDriver } from './storage-driver.js';

/** With this option the upper layer is the container's own, in its bundle, and goes with it. */
const OWN_UPPER = 'io.katacontainers.fs-opt.overlay-rw';

/** A driver option: a directory that the mount's options name, to be made first. */
const CREATE_DIRECTORY = 'io.katacontainers.volume.overlayfs.create_directory=';

/** Layers of directories that are in the guest already. */
export const overlayfs: StorageDriver = {
  name: 'overlayfs',
  ofPod: false,
  async prepare(storage, context) {
    refuseFsGroup(storage, context);
    const missing = storage.driverOptions
      .filter((word) => word.startsWith(CREATE_DIRECTORY))
      .map((word) => layerToMake(word.slice(CREATE_DIRECTORY.length), storage, context));
    for (const below of missing) makeLayer(below, context);
    const layers: OpenSource[] = [];
    try {
      const options = kernelOptions(storage.options).map((word) => openLayers(word, layers, context));
      const own = storage.options.includes(OWN_UPPER) ? ownUpper(context) : [];
      mountAt({ source: 'overlay', fstype: 'overlay', options: [...fixed, ...options, ...own] }, context);
    } finally {
      for (const { descriptor } of layers) descriptor.close();
    }
    await applyFsGroup(storage, context);
  },
};

/** What the host has written into a layer's extended attributes redirects nothing. */
const fixed: readonly string[] = ['metacopy=off', 'redirect_dir=nofollow'];

function ownUpper(context: StorageContext): readonly string[] {
  if (context.owner.kind !== 'container') {
    throw new GuestError('invalid', `${OWN_UPPER}: an overlay of the sandbox has no container to write for`);
  }
  const { upper, work } = makeWritableLayer(context.owner.bundle, context.syscalls, context.made);
  return [`upperdir=${upper}`, `workdir=${work}`];
}

/** An option with each directory in it opened, under the name of its descriptor, which has no separator of overlayfs. */
function openLayers(word: string, layers: OpenSource[], context: StorageContext): string {
  const [name = '', value = ''] = word.split('=', 2);
  if (name === 'metacopy') return 'metacopy=off';
  if (name !== 'lowerdir' && name !== 'upperdir' && name !== 'workdir') return word;
  const paths = name === 'lowerdir' ? value.split(':') : [value];
  const opened = paths.map((path) => {
    const layer = context.open(path, name, name === 'lowerdir' ? 'layer' : 'own');
    layers.push(layer);
    if (!layer.isDirectory)
      throw new GuestError('invalid', `${name} ${JSON.stringify(path)} is not a directory`);
    if (name !== 'lowerdir' && layer.kind !== 'kata')
      throw new GuestError('refused', `${name} ${JSON.stringify(path)} is not below ${context.paths.kata}`);
    return `/proc/self/fd/${layer.descriptor.fd}`;
  });
  return `${name}=${opened.join(':')}`;
}

/**
 * The place of a directory to be made, below Kata's directory: where a source may lie, no other container's, and a layer of
 * this storage that the container writes to.
 */
function layerToMake(path: string, { options }: Storage, context: StorageContext): string {
  const { paths, owner, refuseOthers } = context;
  const container = owner.kind === 'container' ? owner.id : undefined;
  const named = 'directory to be made';
  const place = sourcePlace({ path, named, container }, { paths, access: closedAccess });
  const words = options.flatMap((option) => option.split(','));
  if (!words.includes(`upperdir=${path}`) && !words.includes(`workdir=${path}`))
    throw new GuestError('refused', `${named} ${JSON.stringify(path)} is neither upperdir nor workdir`);
  refuseOthers(place.path);
  return place.below;
}

/** Makes what is missing of the directories down to a layer. What the container writes there goes with the storage. */
function makeLayer(below: string, context: StorageContext): void {
  const isThere = context.base.stat(below) !== undefined;
  makeParents(context, below);
  if (!isThere) context.made.push(`files in ${below}`, () => removeBelow(context, below));
}
