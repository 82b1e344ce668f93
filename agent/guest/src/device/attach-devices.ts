import { UndoStack } from '../undo-stack.js';
import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';
import type { AttachedDevice } from '../request/actions.js';
import { type GuestDevices, infinibandDevices, type InjectedDevice } from './guest-devices.js';
import { basename } from 'node:path';
import type { DeviceNumber } from './device-number.js';
import type { DeviceWatch } from './device-watch.js';
import type { Disks } from './disks.js';
import type { DeviceRoots, Wanted } from './find-device.js';
import {
  type BlockDriver,
  blockDriverOf,
  isVfioType,
  type VfioRequest,
  vfioRequest,
  wantedBlock,
} from './requested-devices.js';
import type { PciAddresses } from './pci-environment.js';
import type { VfioDevices } from './vfio-devices.js';

/** A disk or VFIO group that the host attached for a container, by the guest's numbers. */
export interface GuestDevice extends DeviceNumber {
  readonly type: 'b' | 'c';
  /** Its path in the request's spec. */
  readonly containerPath: string;
  /** Its path in the container: of a VFIO group, that of the guest's group. */
  readonly path: string;
}

/** The devices of a container that the host attached. */
export interface AttachedDevices {
  readonly devices: readonly GuestDevice[];
  /** Nodes that the spec does not have. */
  readonly injected: readonly InjectedDevice[];
  readonly pciAddresses: PciAddresses;
}

/** A disk of a request, and its path in the container's spec. */
interface DiskRequest {
  readonly kind: 'disk';
  readonly containerPath: string;
  readonly disk: Wanted;
}

type Attachment = DiskRequest | VfioRequest;

/** The parts of the guest that attaching uses. */
interface AttachContext {
  readonly devices: Pick<DeviceWatch, 'find'>;
  readonly disks: Disks;
  readonly vfio: VfioDevices;
  readonly guest: GuestDevices;
  readonly roots: DeviceRoots;
}

/** Parses the devices of a request, and makes all checks that do not need the devices. */
export function attachments(devices: readonly AttachedDevice[]): readonly Attachment[] {
  const paths = devices.map(({ containerPath }) => containerPath);
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined)
    throw new GuestError('invalid', `two devices have the container path ${JSON.stringify(twice)}`);
  return devices.map((device) => {
    const { type, containerPath } = device;
    if (isVfioType(type)) return vfioRequest(type, device);
    const driver = driverOf(device);
    return { kind: 'disk', containerPath, disk: wantedBlock(driver, addressOf(driver, device)) };
  });
}

/** Returns what a container's creation waits for. */
export function wantedDevices(devices: readonly AttachedDevice[]): readonly Wanted[] {
  return attachments(devices).flatMap((each) =>
    each.kind === 'disk' ? [each.disk] : each.functions.map(({ directory }) => directory),
  );
}

/** Returns the addresses of the PCI devices that `attachDevices` will give to the driver vfio-pci. */
export function vfioAddresses(
  devices: readonly AttachedDevice[],
  context: Pick<AttachContext, 'devices'>,
): readonly string[] {
  return attachments(devices).flatMap((each) =>
    each.kind === 'vfio-pci'
      ? each.functions.map(({ directory }) => basename(context.devices.find(directory)))
      : [],
  );
}

/**
 * Finds the devices of a request. Refuses one that the guest itself uses (S11): the host names devices by addresses, and
 * only the guest's kernel knows what is there.
 *
 * @param made receives the release of the devices.
 */
export async function attachDevices(
  requested: readonly AttachedDevice[],
  container: string,
  context: AttachContext,
  made: UndoStack,
): Promise<AttachedDevices> {
  const devices: GuestDevice[] = [];
  const addresses = new Map<string, string>();
  const directories: string[] = [];
  for (const each of attachments(requested)) {
    const { containerPath } = each;
    if (each.kind === 'disk') {
      const disk = context.devices.find(each.disk);
      const { major, minor, release } = await context.disks.attach(disk, container);
      made.push(`device ${containerPath}`, release);
      devices.push({ type: 'b', containerPath, path: containerPath, major, minor });
      continue;
    }
    for (const { host, directory } of each.functions) {
      const found = context.devices.find(directory);
      addAddress(addresses, host, basename(found));
      directories.push(found);
    }
    if (each.kind === 'vfio-pci') devices.push(await attachGroup(each, container, context, made));
  }
  const paths = devices.map(({ path }) => path);
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined)
    throw new GuestError('invalid', `two devices of the request are ${quotedWord(twice)} in the guest`);
  return { devices, injected: infinibandDevices(directories, context.roots), pciAddresses: addresses };
}

/** Gives all functions of a device to VFIO. They must be one group: a container opens a group as a whole. */
async function attachGroup(
  { containerPath, functions }: VfioRequest,
  container: string,
  { devices, vfio, guest }: AttachContext,
  made: UndoStack,
): Promise<GuestDevice> {
  const directories = functions.map((each) => devices.find(each.directory));
  for (const directory of directories) vfio.check(directory, container);
  const addresses = directories.map((directory) => basename(directory));
  const groups = new Set(addresses.map((address) => vfio.groupOf(address)));
  const [group, ...others] = groups;
  if (group === undefined)
    throw new GuestError(
      'invalid',
      `the vfio-pci device for ${JSON.stringify(containerPath)} has no PCI device with a path in the guest`,
    );
  if (others.length > 0)
    throw new GuestError(
      'precondition',
      `the PCI devices for ${JSON.stringify(containerPath)} are in the IOMMU groups ${[...groups].join(' and ')}, and must be in one`,
    );
  // At once: other calls run while the disks are taken.
  for (const address of addresses) made.push(`PCI device ${address}`, vfio.register(address, container));
  const disks = new UndoStack();
  try {
    for (const directory of directories) await vfio.takeDisks(directory, disks);
    for (const directory of directories) vfio.check(directory, container);
    for (const address of addresses) vfio.bind(address);
  } finally {
    await disks.unwind();
  }
  const path = `/dev/vfio/${group}`;
  const number = guest.numberOf(path);
  if (number === undefined)
    throw new GuestError('not-found', `the guest has no ${path} for PCI device ${addresses.join(' and ')}`);
  return { type: 'c', containerPath, path, ...number };
}

function addAddress(addresses: Map<string, string>, host: string, guest: string): void {
  const other = addresses.get(host);
  if (other !== undefined && other !== guest)
    throw new GuestError('invalid', `host device ${host} is both ${other} and ${guest} in the guest`);
  addresses.set(host, guest);
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
