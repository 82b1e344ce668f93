import type { GuestDevice } from '../device/attach-devices.js';
import { type GuestDevices, isEvidence } from '../device/guest-devices.js';
import type { GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';
import type { OciDevice, OciDeviceRule } from '../oci-spec.js';
import { deviceRules } from './device-rules.js';
import { checkDeviceNumber, isUsual } from './usual-devices.js';

const types: ReadonlySet<string> = new Set(['c', 'u', 'p']);

/** Character devices that are the guest's memory and ports: /dev/mem, /dev/kmem, /dev/port. */
const guestMemory: ReadonlySet<string> = new Set(['1:1', '1:2', '1:4']);

/** What a spec asks for by the host's numbers. */
export interface RequestedDevices {
  readonly devices: readonly OciDevice[] | undefined;
  readonly rules: readonly OciDeviceRule[] | undefined;
}

/** The same by the guest's numbers: the nodes that runc makes, and what may be opened. */
export interface ContainerDevices {
  readonly devices: readonly OciDevice[];
  readonly rules: readonly OciDeviceRule[];
}

/** What the guest has, and what of it containers may have. */
export interface DeviceContext {
  /** The disks that the request attached. */
  readonly attached: readonly GuestDevice[];
  readonly access: Pick<GuestAccess, 'privileged' | 'devices'>;
  readonly guest: GuestDevices;
}

/** A device of a request beside the one that the container gets for it. */
export interface TranslatedDevice {
  readonly requested: OciDevice;
  readonly own: OciDevice;
}

/**
 * The devices of a container (S11, S32). An allow-list, for nodes and rules alike: the usual ones, the disks that the request
 * attached, and what the configuration names; the last two under the numbers that they have in the guest. Where privileged
 * containers are allowed any character device may come, but none for evidence and not the guest's memory.
 */
export function containerDevices(
  { devices = [], rules = [] }: RequestedDevices,
  context: DeviceContext,
): ContainerDevices {
  const translated = devices.map((requested) => ({ requested, own: ownDevice(requested, context) }));
  return {
    devices: translated.map(({ own }) => own),
    rules: deviceRules(rules, translated, context),
  };
}

/** The node that runc makes for one of a request. */
function ownDevice(device: OciDevice, context: DeviceContext): OciDevice {
  const { path, type, major, minor } = device;
  const named = `device ${JSON.stringify(path)} (${type} ${major}:${minor})`;
  if (type !== 'p') checkDeviceNumber(device, named);
  if (!path.startsWith('/') || path.split('/').includes('..'))
    throw new GuestError('invalid', `${named}: the path must be absolute, without ..`);
  const disk = context.attached.find(({ containerPath }) => containerPath === path);
  if ((disk !== undefined) !== (type === 'b')) {
    throw disk !== undefined
      ? new GuestError('invalid', `${named}: the request attaches a disk there, so the type must be b`)
      : new GuestError('refused', `${named}: the guest's block devices do not go into containers`);
  }
  if (disk !== undefined) return { ...device, major: disk.major, minor: disk.minor };
  if (!types.has(type)) throw new GuestError('invalid', `${named}: the type must be c, u or p`);
  if (type !== 'p' && guestMemory.has(`${major}:${minor}`))
    throw new GuestError('refused', `${named} is the guest's own memory`);
  const own = namedDevice(device, context) ?? device;
  if (isEvidence(own, context.guest))
    throw new GuestError('refused', `${named} is for evidence about the guest, and goes into no container`);
  if (context.access.privileged === 'refuse' && !isAllowed(own, context)) {
    throw new GuestError(
      'refused',
      `${named} is not one that containers have; [agent] devices = [${JSON.stringify(path)}] names it`,
    );
  }
  return own;
}

/** A device that the configuration names by its path, with the number of the guest's own node. */
function namedDevice(device: OciDevice, { access, guest }: DeviceContext): OciDevice | undefined {
  const { path } = device;
  if (!access.devices.some((one) => one.kind === 'path' && one.path === path)) return undefined;
  const number = guest.numberOf(path);
  if (number === undefined)
    throw new GuestError('precondition', `the guest has no character device ${JSON.stringify(path)}`);
  return { ...device, ...number };
}

function isAllowed({ path, type, major, minor }: OciDevice, { access }: DeviceContext): boolean {
  if (type === 'p') return false;
  return (
    isUsual(path, { major, minor }) ||
    access.devices.some((one) =>
      one.kind === 'path' ? one.path === path : one.major === major && one.minor === minor,
    )
  );
}
