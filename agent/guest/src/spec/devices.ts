import { isEvidence } from '../device/guest-devices.js';
import { GuestError } from '../guest-error.js';
import type { OciDevice, OciDeviceRule } from '../request/oci-spec.js';
import {
  checkDeviceNumber,
  type DeviceContext,
  deviceRules,
  isDefaultDevice,
  isGuestMemory,
  type TranslatedDevice,
} from './device-rules.js';

const types: ReadonlySet<string> = new Set(['c', 'u', 'p']);

/** The devices and rules of a request, by the host's numbers. */
export interface RequestedDevices {
  readonly devices: readonly OciDevice[] | undefined;
  readonly rules: readonly OciDeviceRule[] | undefined;
}

/** The devices and rules for runc, by the guest's numbers. */
export interface ContainerDevices {
  readonly devices: readonly OciDevice[];
  readonly rules: readonly OciDeviceRule[];
}

/**
 * Returns the devices of a container (S11, S32), by the guest's numbers. `checkDevice` and `checkDeviceRules` decide
 * which are allowed.
 */
export function containerDevices(
  { devices = [], rules = [] }: RequestedDevices,
  context: DeviceContext,
): ContainerDevices {
  const translated = translateDevices(devices, context);
  const injected = context.injected.map(({ node }) => node);
  const paths = new Set(injected.map(({ path }) => path));
  return {
    devices: [...translated.map(({ own }) => own).filter(({ path }) => !paths.has(path)), ...injected],
    rules: deviceRules(rules, translated, context),
  };
}

/** Returns each device of a request with the node that runc creates for it. */
export function translateDevices(
  devices: readonly OciDevice[],
  context: DeviceContext,
): readonly TranslatedDevice[] {
  return devices.map((requested) => ({ requested, own: ownDevice(requested, context) }));
}

/**
 * Checks one device of a request against an allow-list: the default devices, those that the request attached, and
 * those that the configuration names; the last two by their numbers in the guest. Where privileged containers are
 * allowed any character device is, but those for evidence and the guest's memory.
 */
export function checkDevice(device: OciDevice, context: DeviceContext): void {
  const { path, type, major, minor } = device;
  const named = `device ${JSON.stringify(path)} (${type} ${major}:${minor})`;
  if (type !== 'p') checkDeviceNumber(device, named);
  if (!path.startsWith('/') || path.split('/').includes('..'))
    throw new GuestError('invalid', `${named}: the path must be absolute, without ..`);
  const attached = context.attached.find(({ containerPath }) => containerPath === path);
  if (attached !== undefined && attached.type !== type)
    throw new GuestError(
      'invalid',
      `${named}: the request attaches a device there, so the type must be ${attached.type}`,
    );
  if (attached !== undefined) return;
  if (type === 'b')
    throw new GuestError('refused', `${named}: containers do not get block devices of the guest`);
  if (!types.has(type)) throw new GuestError('invalid', `${named}: the type must be c, u or p`);
  if (type !== 'p' && isGuestMemory(device))
    throw new GuestError('refused', `${named} is the guest's own memory`);
  const own = ownDevice(device, context);
  if (isEvidence(own, context.guest))
    throw new GuestError('refused', `${named} is for attestation of the guest, and no container gets it`);
  if (context.access.privileged === 'refuse' && !isAllowed(own, context)) {
    throw new GuestError(
      'refused',
      `${named} is not an allowed device; help: add ${JSON.stringify(path)} to [agent] devices`,
    );
  }
}

/** @throws GuestError `precondition` for a device that the configuration names and the guest does not have. */
function ownDevice(device: OciDevice, { attached, access, guest }: DeviceContext): OciDevice {
  const { path } = device;
  const given = attached.find(({ containerPath }) => containerPath === path);
  if (given !== undefined) return { ...device, path: given.path, major: given.major, minor: given.minor };
  if (!access.devices.some((one) => one.kind === 'path' && one.path === path)) return device;
  const number = guest.numberOf(path);
  if (number === undefined)
    throw new GuestError('precondition', `the guest has no character device ${JSON.stringify(path)}`);
  return { ...device, ...number };
}

function isAllowed({ path, type, major, minor }: OciDevice, { access }: DeviceContext): boolean {
  if (type === 'p') return false;
  return (
    isDefaultDevice(path, { major, minor }) ||
    access.devices.some(
      (one) =>
        (one.kind === 'path' && one.path === path) ||
        (one.kind === 'number' && one.major === major && one.minor === minor),
    )
  );
}
