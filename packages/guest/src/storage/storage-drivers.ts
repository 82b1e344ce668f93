import { GuestError } from '../guest-error.js';
import { bind } from './bind.js';
import { blockStorages } from './block.js';
import { ephemeral } from './ephemeral.js';
import { local } from './local.js';
import { overlayfs } from './overlayfs.js';
import { virtioFs } from './virtio-fs.js';
import { watchableBind } from './watchable-bind.js';
import type { StorageDriver } from './storage-driver.js';

/** The drivers that are built, as GetGuestDetails tells them. */
export const storageDrivers: readonly StorageDriver[] = [
  bind,
  ...blockStorages,
  ephemeral,
  local,
  overlayfs,
  virtioFs,
  watchableBind,
];

/** Kata's others. */
const unbuilt: ReadonlySet<string> = new Set(['blk-ccw', 'image_guest_pull', 'multi-layer-erofs']);

export function storageDriver(name: string): StorageDriver {
  const found = storageDrivers.find((driver) => driver.name === name);
  if (found !== undefined) return found;
  if (unbuilt.has(name)) throw new GuestError('unimplemented', `storage driver ${name} is not built yet`);
  const known = storageDrivers.map((driver) => driver.name).join(', ');
  throw new GuestError(
    'invalid',
    `storage driver ${JSON.stringify(name.slice(0, 100))} is not one of ${known}`,
  );
}
