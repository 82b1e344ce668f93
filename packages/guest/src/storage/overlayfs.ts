import { makeWritableLayer } from '../container/writable-layer.js';
import { GuestError } from '../guest-error.js';
import { applyFsGroup } from './fs-group.js';
import { closedAccess } from '../guest-access.js';
import type { OpenSource } from '../source/open-source.js';
import { sourcePlace } from '../source/source-place.js';
import { kernelOptions, mountAt } from './mount-point.js';
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
    for (const word of storage.driverOptions) {
      if (word.startsWith(CREATE_DIRECTORY)) makeBelowBase(word.slice(CREATE_DIRECTORY.length), context);
    }
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
    const layer = context.open(path, name);
    layers.push(layer);
    if (!layer.isDirectory)
      throw new GuestError('invalid', `${name} ${JSON.stringify(path)} is not a directory`);
    if (name !== 'lowerdir' && layer.kind !== 'kata')
      throw new GuestError('refused', `${name} ${JSON.stringify(path)} is not below ${context.paths.kata}`);
    return `/proc/self/fd/${layer.descriptor.fd}`;
  });
  return `${name}=${opened.join(':')}`;
}

function makeBelowBase(path: string, { base, paths, owner, open }: StorageContext): void {
  const id = owner.kind === 'container' ? owner.id : undefined;
  // Where a source may lie, and nowhere else.
  const place = sourcePlace(
    { path, named: 'directory to be made', container: id },
    { paths, access: closedAccess },
  );
  base.makeDirectory(place.below, { mode: 0o755 }).close();
  open(path, 'directory to be made').descriptor.close();
}
