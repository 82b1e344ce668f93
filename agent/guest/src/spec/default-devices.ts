import type { DeviceNumber } from '../device/device-number.js';
import { GuestError } from '../error/guest-error.js';
import type { OciDeviceRule } from '../request/oci-spec.js';

/** The character devices that every container gets. */
export const defaultDevices: ReadonlyMap<string, DeviceNumber> = new Map([
  ['/dev/null', { major: 1, minor: 3 }],
  ['/dev/zero', { major: 1, minor: 5 }],
  ['/dev/full', { major: 1, minor: 7 }],
  ['/dev/random', { major: 1, minor: 8 }],
  ['/dev/urandom', { major: 1, minor: 9 }],
  ['/dev/tty', { major: 5, minor: 0 }],
  ['/dev/ptmx', { major: 5, minor: 2 }],
]);

/** Major number of the terminals below /dev/pts; they exist in the container's own devpts instance only. */
const terminals = 136;

/**
 * Reports whether a node is a default device, by both path and number: /dev/null with another number is another device.
 */
export function isDefaultDevice(path: string, { major, minor }: DeviceNumber): boolean {
  const usual = defaultDevices.get(path);
  return usual !== undefined && usual.major === major && usual.minor === minor;
}

/** Reports whether a rule is for a default device, or for terminals. */
export function isDefaultDeviceRule({ type, major, minor }: OciDeviceRule): boolean {
  if (type !== 'c') return false;
  if (major === terminals) return true;
  return [...defaultDevices.values()].some((usual) => usual.major === major && usual.minor === minor);
}

/** Character devices for memory and I/O ports: /dev/mem, /dev/kmem, /dev/port. */
const guestMemory: ReadonlySet<string> = new Set(['1:1', '1:2', '1:4']);

/** Reports whether a character device gives access to the guest's memory or I/O ports. */
export function isGuestMemory({ major, minor }: DeviceNumber): boolean {
  return guestMemory.has(`${major}:${minor}`);
}

/** Rules that allow the default devices only. */
export const defaultDeviceRules: readonly OciDeviceRule[] = [
  ...[...defaultDevices.values()].map((number) => ({ allow: true, type: 'c', ...number, access: 'rwm' })),
  { allow: true, type: 'c', major: terminals, access: 'rwm' },
];

/** Sizes of device numbers in the kernel (linux/kdev_t.h). Larger numbers are truncated, and name another device. */
const maxMajor = 2 ** 12 - 1;
const maxMinor = 2 ** 20 - 1;

export function checkDeviceNumber({ major, minor }: DeviceNumber, named: string): void {
  if (isNumber(major, maxMajor) && isNumber(minor, maxMinor)) return;
  throw new GuestError('invalid', `${named}: the device number is out of range`);
}

/** Checks a device rule. A number of -1 means all. */
export function checkRule({ type = 'a', major = -1, minor = -1, access }: OciDeviceRule): void {
  const named = `device rule (${type} ${major}:${minor})`;
  checkDeviceNumber({ major: major === -1 ? 0 : major, minor: minor === -1 ? 0 : minor }, named);
  if (!['a', '', 'c', 'b', 'u'].includes(type))
    throw new GuestError('invalid', `${named}: the type must be a, b or c`);
  if (access !== undefined && !/^[rwm]{0,3}$/.test(access))
    throw new GuestError('invalid', `${named}: access ${JSON.stringify(access)} is not made of r, w and m`);
}

function isNumber(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}
