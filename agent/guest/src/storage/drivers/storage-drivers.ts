import { unbuiltNames } from '@kata-agent/catalogue/request-features';
import { GuestError } from '../../error/guest-error.js';
import { bind } from './bind.js';
import { blockStorages } from './block.js';
import { ephemeral } from './ephemeral.js';
import { imageGuestPull } from './image-guest-pull.js';
import { local } from './local.js';
import { multiLayerErofs } from './multi-layer-erofs.js';
import { overlayfs } from './overlayfs.js';
import { virtioFs } from './virtio-fs.js';
import { watchableBind } from './watchable-bind.js';
import type { StorageDriver } from './storage-driver.js';
import { quotedWord } from '../../quoted.js';

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
