import { GuestError } from '../guest-error.js';
import { bind } from './bind.js';
import { ephemeral } from './ephemeral.js';
import { local } from './local.js';
import { overlayfs } from './overlayfs.js';
import type { StorageDriver } from './storage-driver.js';

/** The drivers that are built, as GetGuestDetails tells them. */
export const storageDrivers: readonly StorageDriver[] = [bind, ephemeral, local, overlayfs];

/** Kata's others: devices, shared file systems, guest pull. They come with issue C. */
const unbuilt: ReadonlySet<string> = new Set([
  'blk',
  'blk-ccw',
  'image_guest_pull',
  'mmioblk',
  'multi-layer-erofs',
  'nvdimm',
  'scsi',
  'virtio-fs',
  'watchable-bind',
]);

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
