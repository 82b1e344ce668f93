import { closeSync, lstatSync, openSync } from 'node:fs';
import { hasCode, Open } from '@kata-agent/linux';
import type { AttachedDevice } from '../actions.js';
import { GuestError } from '../guest-error.js';
import { type DeviceNumber, deviceNumber } from './device-number.js';
import type { DeviceWatch } from './device-watch.js';
import type { Wanted } from './find-device.js';
import { type BlockDriver, blockDriverOf, wantedBlock } from './wanted-block.js';

/** A disk that the host attached for a container, as the guest's kernel knows it. */
export interface GuestDevice extends DeviceNumber {
  /** Where the container's spec has it. */
  readonly containerPath: string;
}

/** A disk of a request, and where the container's spec has it. */
interface Attachment {
  readonly containerPath: string;
  readonly disk: Wanted;
}

/** The disks of a request. Whatever can be refused without a look at them is. */
export function attachments(devices: readonly AttachedDevice[]): readonly Attachment[] {
  const paths = devices.map(({ containerPath }) => containerPath);
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined) throw new GuestError('invalid', `two devices are for ${JSON.stringify(twice)}`);
  return devices.map((device) => {
    const driver = driverOf(device);
    return { containerPath: device.containerPath, disk: wantedBlock(driver, addressOf(driver, device)) };
  });
}

/**
 * Finds the disks of a request. One that the guest itself uses is refused (S11): the host names devices by addresses, and
 * nothing but the kernel knows what lies there.
 */
export function attachDevices(
  devices: readonly AttachedDevice[],
  watch: Pick<DeviceWatch, 'find'>,
): readonly GuestDevice[] {
  return attachments(devices).map(({ containerPath, disk }) => ({
    containerPath,
    ...freeDisk(watch.find(disk)),
  }));
}

function driverOf({ type, id, vmPath, containerPath }: AttachedDevice): BlockDriver {
  if (id === '' && vmPath === '')
    throw new GuestError(
      'invalid',
      `the device for ${JSON.stringify(containerPath)} has no id and no vm_path`,
    );
  return blockDriverOf(type);
}

/** The Go runtime gives a PCI or SCSI address in `id`, and a node in `vm_path`; runtime-rs a node in either. */
function addressOf(driver: BlockDriver, { id, vmPath }: Pick<AttachedDevice, 'id' | 'vmPath'>): string {
  const byAddress = driver === 'blk' || driver === 'scsi';
  const [first, second] = byAddress ? [id, vmPath] : [vmPath, id];
  return first === '' ? second : first;
}

/**
 * The number of a disk that nothing in the guest has claimed. The kernel claims what is mounted, swapped to or part of
 * another device, and the whole disk of a partition that is; to such a one O_EXCL gets EBUSY (block/bdev.c).
 */
function freeDisk(disk: string): DeviceNumber {
  const stat = lstatSync(disk, { bigint: true });
  if (!stat.isBlockDevice()) throw new GuestError('invalid', `${disk} is not a block device`);
  try {
    closeSync(openSync(disk, Open.ReadOnly | Open.Exclusive | Open.NonBlock | Open.NoFollow));
  } catch (error) {
    if (!hasCode(error, 'EBUSY')) throw error;
    throw new GuestError(
      'refused',
      `the disk ${disk} is in use in the guest, and does not go into a container`,
      {
        cause: error,
      },
    );
  }
  return deviceNumber(stat.rdev);
}
