import { makeWritableLayer } from '../container/writable-layer.js';
import { GuestError } from '../guest-error.js';
import { applyFsGroup } from './fs-group.js';
import { kernelOptions, mountAt } from './mount-point.js';
import { realSource } from './real-source.js';
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
    const options = kernelOptions(storage.options).map((word) => checkLayers(word, context));
    const own = storage.options.includes(OWN_UPPER) ? ownUpper(context) : [];
    mountAt({ source: 'overlay', fstype: 'overlay', options: [...options, ...own] }, context);
    await applyFsGroup(storage, context);
  },
};

function ownUpper(context: StorageContext): readonly string[] {
  if (context.owner.kind !== 'container') {
    throw new GuestError('invalid', `${OWN_UPPER}: an overlay of the sandbox has no container to write for`);
  }
  const { upper, work } = makeWritableLayer(context.owner.bundle, context.syscalls, context.made);
  return [`upperdir=${upper}`, `workdir=${work}`];
}

/** Lower layers may lie anywhere but over the agent's state; what is written to lies below Kata's directory. */
function checkLayers(word: string, { paths }: StorageContext): string {
  const [name = '', value = ''] = word.split('=', 2);
  if (name === 'lowerdir') {
    const real = value.split(':').map((path) => realSource(path, 'lowerdir', paths));
    return `lowerdir=${real.join(':')}`;
  }
  if (name !== 'upperdir' && name !== 'workdir') return word;
  if (!belowBase(value, paths.kata))
    throw new GuestError('refused', `${name} ${JSON.stringify(value)} is not below ${paths.kata}`);
  return `${name}=${realSource(value, name, paths)}`;
}

function makeBelowBase(path: string, { base, paths }: StorageContext): void {
  if (!belowBase(path, paths.kata)) {
    throw new GuestError(
      'refused',
      `directory ${JSON.stringify(path)} to be made is not below ${paths.kata}`,
    );
  }
  base.makeDirectory(path.slice(paths.kata.length + 1), { mode: 0o755 }).close();
}

function belowBase(path: string, base: string): boolean {
  return path.startsWith(`${base}/`) && !path.split('/').includes('..');
}
