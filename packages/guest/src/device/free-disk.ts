import { closeSync, lstatSync, openSync } from 'node:fs';
import { hasCode, Open } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { type DeviceNumber, deviceNumber } from './device-number.js';

/**
 * The number of a disk that nothing in the guest has claimed; for devices, storages and swap alike (S11). The kernel claims
 * what is mounted, swapped to or part of another device, and the whole disk of a partition that is; to such a one O_EXCL
 * gets EBUSY (block/bdev.c).
 *
 * @throws GuestError `invalid`: not a block device; `refused`: the guest uses it.
 */
export function freeDisk(disk: string): DeviceNumber {
  const stat = lstatSync(disk, { bigint: true });
  if (!stat.isBlockDevice()) throw new GuestError('invalid', `${disk} is not a block device`);
  try {
    closeSync(openSync(disk, Open.ReadOnly | Open.Exclusive | Open.NonBlock | Open.NoFollow));
  } catch (error) {
    if (!hasCode(error, 'EBUSY')) throw error;
    throw new GuestError(
      'refused',
      `the disk ${disk} is in use in the guest, and is not for the host to name`,
      {
        cause: error,
      },
    );
  }
  return deviceNumber(stat.rdev);
}
