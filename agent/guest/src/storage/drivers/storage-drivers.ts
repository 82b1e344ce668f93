import { unbuiltNames } from '@kata-agent/catalogue/request-features';
import { GuestError } from '../../guest-error.js';
import { blockStorages } from './block.js';
import { ephemeral } from './ephemeral.js';
import { local } from './local.js';
import { multiLayerErofs } from './multi-layer-erofs.js';
import { overlayfs } from './overlayfs.js';
import { virtioFs } from './virtio-fs.js';
import { watchableBind } from './watchable-bind.js';
import type { StorageDriver } from './storage-driver.js';
import { quotedWord } from '../../quoted.js';
import { rootPaths } from '../../source/source-place.js';
import { applyFsGroup, refuseFsGroup } from '../fs-group.js';
import { bindAt } from '../mount-point.js';

/** The storage driver by which a runtime asks the guest to pull an image. */
export const guestPullDriver = 'image_guest_pull';

/** The root of a container that the guest pulls itself. It is mounted in the bundle (image/own-root.ts), and at no path of the request. */
const imageGuestPull: StorageDriver = {
  name: guestPullDriver,
  ofPod: false,
  mountPoints: ['CID/rootfs'],
  prepare() {
    throw new GuestError('invalid', `storage driver ${guestPullDriver} is for the root of a container only`);
  },
};

/** A bind mount of a directory or file of the guest. */
const bind: StorageDriver = {
  name: 'bind',
  ofPod: false,
  mountPoints: [...rootPaths, 'sandbox/storage/*'],
  async prepare(storage, context) {
    refuseFsGroup(storage, context);
    const source = await context.open(storage.source, 'source of a bind storage');
    await bindAt(source, storage.options, context);
    await applyFsGroup(storage, context);
  },
};

/** The drivers in this build, as GetGuestDetails reports them. */
export const storageDrivers: readonly StorageDriver[] = [
  bind,
  ...blockStorages,
  ephemeral,
  imageGuestPull,
  local,
  multiLayerErofs,
  overlayfs,
  virtioFs,
  watchableBind,
];

/** Kata's drivers that are not supported. */
const unsupported = unbuiltNames('storage driver');

export function storageDriver(name: string): StorageDriver {
  const found = storageDrivers.find((driver) => driver.name === name);
  if (found !== undefined) return found;
  if (unsupported.has(name))
    throw new GuestError('unimplemented', `storage driver ${name} is not supported yet`);
  const known = storageDrivers.map((driver) => driver.name).join(', ');
  throw new GuestError('invalid', `storage driver ${quotedWord(name)} is not one of ${known}`);
}
