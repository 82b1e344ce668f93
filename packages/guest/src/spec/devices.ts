import type { GuestDevice } from '../device/attach-devices.js';
import { GuestError } from '../guest-error.js';
import type { OciDevice, OciDeviceRule } from '../oci-spec.js';

const types: ReadonlySet<string> = new Set(['c', 'u', 'p']);

/** What the kernel keeps of a device's numbers (linux/kdev_t.h). What is above is cut off, and another device is made. */
const mostMajor = 2 ** 12 - 1;
const mostMinor = 2 ** 20 - 1;

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

/**
 * The devices of a container (S11). Of block devices only those that the request attached, under the numbers that they
 * have here; a block device by a number of the host's would be some disk of the guest's.
 */
export function containerDevices(
  { devices = [], rules = [] }: RequestedDevices,
  attached: readonly GuestDevice[],
): ContainerDevices {
  for (const device of devices) checkDevice(device, attached);
  const byPath = new Map(devices.map((device) => [device.path, device]));
  return {
    devices: devices.map((device) => {
      const found = attached.find(({ containerPath }) => containerPath === device.path);
      return found === undefined ? device : { ...device, major: found.major, minor: found.minor };
    }),
    rules: [
      ...deviceRules(rules),
      ...attached.map((device) => attachedRule(device, rules, byPath.get(device.containerPath))),
    ],
  };
}

/** A device node of a request that runc may make: no block device of the guest, not its memory. */
function checkDevice({ path, type, major, minor }: OciDevice, attached: readonly GuestDevice[]): void {
  const named = `device ${JSON.stringify(path)} (${type} ${major}:${minor})`;
  if (type !== 'p' && !(isNumber(major, mostMajor) && isNumber(minor, mostMinor)))
    throw new GuestError('invalid', `${named}: there is no such device number`);
  const isAttached = attached.some(({ containerPath }) => containerPath === path);
  if (isAttached !== (type === 'b')) {
    throw isAttached
      ? new GuestError('invalid', `${named}: the request attaches a disk there, so the type must be b`)
      : new GuestError('refused', `${named}: the guest's block devices do not go into containers`);
  }
  if (!isAttached && !types.has(type))
    throw new GuestError('invalid', `${named}: the type must be c, u or p`);
  if (type === 'c' || type === 'u') {
    if (guestMemory.has(`${major}:${minor}`))
      throw new GuestError('refused', `${named} is the guest's own memory`);
  }
  if (!path.startsWith('/') || path.split('/').includes('..')) {
    throw new GuestError('invalid', `${named}: the path must be absolute, without ..`);
  }
}

/**
 * Deny all, then what the spec may have. An allow rule for all types, as a privileged container's, becomes one for
 * character devices; one for block devices is left out.
 */
function deviceRules(requested: readonly OciDeviceRule[]): readonly OciDeviceRule[] {
  const rules: OciDeviceRule[] = [{ allow: false, access: 'rwm' }];
  for (const rule of requested) {
    checkRule(rule);
    const all = rule.type === undefined || rule.type === '' || rule.type === 'a';
    if (rule.type === 'b') continue;
    if (!rule.allow) {
      if (!all) rules.push(rule);
    } else if (all) {
      rules.push({ ...rule, type: 'c' });
    } else if (rule.type === 'c') {
      rules.push(rule);
    }
  }
  return rules;
}

/** A rule's numbers: `-1` stands for all. */
function checkRule({ type = 'a', major = -1, minor = -1 }: OciDeviceRule): void {
  if ((major === -1 || isNumber(major, mostMajor)) && (minor === -1 || isNumber(minor, mostMinor))) return;
  throw new GuestError('invalid', `device rule (${type} ${major}:${minor}): there is no such device number`);
}

function isNumber(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

/**
 * A disk may be opened as the spec's rules for it say, and without any (the Go runtime sends none) be read and written.
 * Its node is runc's to make, and nobody else's.
 */
function attachedRule(
  { containerPath, major, minor }: GuestDevice,
  requested: readonly OciDeviceRule[],
  device: OciDevice | undefined,
): OciDeviceRule {
  if (device === undefined) {
    throw new GuestError(
      'invalid',
      `a device is attached for ${JSON.stringify(containerPath)}, which is not in the spec's linux.devices`,
    );
  }
  const own = requested.filter(
    (rule) => rule.allow && rule.type === 'b' && rule.major === device.major && rule.minor === device.minor,
  );
  const asked = own.map(({ access = 'rw' }) => access).join('');
  const access = own.length === 0 ? 'rw' : ['r', 'w'].filter((letter) => asked.includes(letter)).join('');
  return { allow: true, type: 'b', major, minor, access };
}
