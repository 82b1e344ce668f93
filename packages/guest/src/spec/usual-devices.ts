import type { DeviceNumber } from '../device/device-number.js';
import { GuestError } from '../guest-error.js';
import type { OciDeviceRule } from '../oci-spec.js';

/** The character devices that every container has. */
export const usualDevices: ReadonlyMap<string, DeviceNumber> = new Map([
  ['/dev/null', { major: 1, minor: 3 }],
  ['/dev/zero', { major: 1, minor: 5 }],
  ['/dev/full', { major: 1, minor: 7 }],
  ['/dev/random', { major: 1, minor: 8 }],
  ['/dev/urandom', { major: 1, minor: 9 }],
  ['/dev/tty', { major: 5, minor: 0 }],
  ['/dev/ptmx', { major: 5, minor: 2 }],
]);

/** The terminals below /dev/pts: of the container's own instance alone. */
const terminals = 136;

/** Whether a node is one of them, by path and number both: /dev/null with another number is another device. */
export function isUsual(path: string, { major, minor }: DeviceNumber): boolean {
  const usual = usualDevices.get(path);
  return usual !== undefined && usual.major === major && usual.minor === minor;
}

/** Whether a rule is about one of them, or about terminals. */
export function isUsualRule({ type, major, minor }: OciDeviceRule): boolean {
  if (type !== 'c') return false;
  if (major === terminals) return true;
  return [...usualDevices.values()].some((usual) => usual.major === major && usual.minor === minor);
}

/** Rules that open just these. */
export const usualRules: readonly OciDeviceRule[] = [
  ...[...usualDevices.values()].map((number) => ({ allow: true, type: 'c', ...number, access: 'rwm' })),
  { allow: true, type: 'c', major: terminals, minor: -1, access: 'rwm' },
];

/** What the kernel keeps of a device's numbers (linux/kdev_t.h). What is above is cut off, and another device is made. */
const mostMajor = 2 ** 12 - 1;
const mostMinor = 2 ** 20 - 1;

export function checkDeviceNumber({ major, minor }: DeviceNumber, named: string): void {
  if (isNumber(major, mostMajor) && isNumber(minor, mostMinor)) return;
  throw new GuestError('invalid', `${named}: there is no such device number`);
}

/** A rule's numbers: `-1` stands for all. */
export function checkRule({ type = 'a', major = -1, minor = -1, access }: OciDeviceRule): void {
  const named = `device rule (${type} ${major}:${minor})`;
  checkDeviceNumber({ major: major === -1 ? 0 : major, minor: minor === -1 ? 0 : minor }, named);
  if (!['a', '', 'c', 'b', 'u'].includes(type))
    throw new GuestError('invalid', `${named}: the type must be a, b or c`);
  if (access !== undefined && !/^[rwm]{0,3}$/.test(access))
    throw new GuestError('invalid', `${named}: access ${JSON.stringify(access)} is not made of r, w and m`);
}

function isNumber(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}
