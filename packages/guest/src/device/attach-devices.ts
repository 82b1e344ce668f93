import type { AttachedDevice } from '../actions.js';
import { GuestError } from '../guest-error.js';
import type { UndoStack } from '../container/undo-stack.js';
import type { DeviceNumber } from './device-number.js';
import type { DeviceWatch } from './device-watch.js';
import type { Wanted } from './find-device.js';
import type { Disks } from './disks.js';
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
 *
 * @param made gives the disks back.
 */
export function attachDevices(
  devices: readonly AttachedDevice[],
  container: string,
  context: { readonly devices: Pick<DeviceWatch, 'find'>; readonly disks: Disks },
  made: UndoStack,
): readonly GuestDevice[] {
  return attachments(devices).map(({ containerPath, disk }) => {
    const { major, minor, release } = context.disks.attach(context.devices.find(disk), container);
    made.push(`device ${containerPath}`, release);
    return { containerPath, major, minor };
  });
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
