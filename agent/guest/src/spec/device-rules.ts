import type { GuestAccess } from '../guest-access.js';
import { type GuestDevices, type InjectedDevice, isEvidence } from '../device/guest-devices.js';
import type { GuestDevice } from '../device/attach-devices.js';
import type { DeviceNumber } from '../device/device-number.js';
import { GuestError } from '../guest-error.js';
import type { OciDevice, OciDeviceRule } from '../request/oci-spec.js';

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

/** Character devices for memory and I/O ports: /dev/mem, /dev/kmem, /dev/port. */
const guestMemory: ReadonlySet<string> = new Set(['1:1', '1:2', '1:4']);

/** Rules that allow the default devices only. */
export const defaultDeviceRules: readonly OciDeviceRule[] = [
  ...[...defaultDevices.values()].map((number) => ({ allow: true, type: 'c', ...number, access: 'rwm' })),
  { allow: true, type: 'c', major: terminals, access: 'rwm' },
];

/** Sizes of device numbers in the kernel (linux/kdev_t.h). Larger numbers are truncated, and name another device. */
const maxMajor = 2 ** 12 - 1;

const maxMinor = 2 ** 20 - 1;

/**
 * Returns device cgroup rules that deny all, then allow what the container may have. A rule for all devices, as a
 * privileged container has it, allows the default ones where privileged containers are refused, else every character
 * device but those for evidence. Rules for block devices are dropped. The devices of the spec and those that are the
 * sources of bind mounts get a rule even if the request has none: Kata's runtimes remove the rules of a spec.
 */
export function deviceRules(
  requested: readonly OciDeviceRule[],
  devices: readonly TranslatedDevice[],
  context: DeviceContext,
): readonly OciDeviceRule[] {
  const { attached, bound, injected, guest } = context;
  const byPath = new Map(devices.map(({ requested: device }) => [device.path, device]));
  const rules = [
    { allow: false, access: 'rwm' },
    ...requested.flatMap((rule) => ownRules(rule, devices, context)),
  ];
  return [
    ...rules,
    ...devices.flatMap(({ own }) => nodeRule(own, rules)),
    ...bound
      .filter((device) => !isEvidence(device, guest) && !isGuestMemory(device))
      .flatMap((device) => boundRule(device, rules)),
    ...injected.flatMap(({ node, access }) => injectedRule(node, access)),
    ...attached.flatMap((device) => attachedRule(device, requested, byPath.get(device.containerPath))),
  ].map(withoutWildcards);
}

/** Omits a number of -1, which means all: crun on cgroup v1 writes it to the kernel as it is, which the kernel refuses. */
function withoutWildcards({ major, minor, ...rule }: OciDeviceRule): OciDeviceRule {
  return {
    ...rule,
    ...(major === undefined || major === -1 ? {} : { major }),
    ...(minor === undefined || minor === -1 ? {} : { minor }),
  };
}

/** Checks rules against the allow-list that `checkDevice` has for nodes. An attached device must be in the spec. */
export function checkDeviceRules(
  requested: readonly OciDeviceRule[],
  devices: readonly TranslatedDevice[],
  context: DeviceContext,
): void {
  for (const rule of requested) checkRule(rule);
  for (const rule of requested.filter(isSingle)) checkSingle(rule, devices, context);
  for (const { containerPath } of context.attached) {
    if (devices.some(({ requested: device }) => device.path === containerPath)) continue;
    throw new GuestError(
      'invalid',
      `a device is attached for ${JSON.stringify(containerPath)}, which is not in the spec's linux.devices`,
    );
  }
}

type SingleRule = OciDeviceRule & { readonly major: number; readonly minor: number };

/** Reports whether a rule allows one character device. */
function isSingle(rule: OciDeviceRule): rule is SingleRule {
  const { allow, type, major = -1, minor = -1 } = rule;
  return allow && type === 'c' && major !== -1 && minor !== -1;
}

function ownRules(
  rule: OciDeviceRule,
  devices: readonly TranslatedDevice[],
  context: DeviceContext,
): readonly OciDeviceRule[] {
  const all = rule.type === undefined || rule.type === '' || rule.type === 'a';
  if (rule.type === 'b') return [];
  if (!rule.allow) return all ? [] : [rule];
  return isSingle(rule) ? [singleRule(rule, devices)] : wideRules({ ...rule, type: 'c' }, context);
}

/** If the request has the device as a node, the rule gets the guest's number. */
function singleRule(rule: SingleRule, devices: readonly TranslatedDevice[]): SingleRule {
  const node = nodeOf(rule, devices);
  return node === undefined ? rule : { ...rule, major: node.major, minor: node.minor };
}

function nodeOf({ major, minor }: SingleRule, devices: readonly TranslatedDevice[]): OciDevice | undefined {
  return devices.find(({ requested }) => requested.major === major && requested.minor === minor)?.own;
}

function checkSingle(
  rule: SingleRule,
  devices: readonly TranslatedDevice[],
  { access, guest }: DeviceContext,
): void {
  const { major, minor } = rule;
  const own = singleRule(rule, devices);
  const named = `device rule (c ${major}:${minor})`;
  if (isEvidence({ major: own.major, minor: own.minor }, guest))
    throw new GuestError('refused', `${named} is for attestation of the guest, and no container gets it`);
  const isNode = nodeOf(rule, devices) !== undefined;
  const isNamed = access.devices.some(
    (one) => one.kind === 'number' && one.major === major && one.minor === minor,
  );
  if (access.privileged === 'allow' || isNode || isNamed || isDefaultDeviceRule(own)) return;
  throw new GuestError(
    'refused',
    `${named} is not for an allowed device; help: add "c ${major}:${minor}" to [agent] devices`,
  );
}

/** A rule for several devices allows mknod only, which opens nothing. */
function wideRules(rule: OciDeviceRule, { access, guest }: DeviceContext): readonly OciDeviceRule[] {
  if (rule.access === 'm') return [rule];
  if (access.privileged === 'refuse') return isDefaultDeviceRule(rule) ? [rule] : defaultDeviceRules;
  const { major = -1, minor = -1 } = rule;
  const covered = guest
    .list()
    .filter((one) => (major === -1 || one.major === major) && (minor === -1 || one.minor === minor));
  if (!covered.some((number) => isEvidence(number, guest))) return [rule];
  // The OCI runtime subtracts nothing from a rule for all devices: so each of the others gets its own rule.
  return [
    ...covered.filter((number) => !isEvidence(number, guest)).map((number) => ({ ...rule, ...number })),
    ...defaultDeviceRules,
  ];
}

/** A node that cannot be opened is useless. */
function nodeRule(
  { type, major, minor }: OciDevice,
  rules: readonly OciDeviceRule[],
): readonly OciDeviceRule[] {
  return type === 'c' || type === 'u' ? missingRule({ major, minor, access: 'rwm' }, rules) : [];
}

/** A bound device is opened, and its node is not created. */
function boundRule(
  { major, minor, writable }: BoundDevice,
  rules: readonly OciDeviceRule[],
): readonly OciDeviceRule[] {
  return missingRule({ major, minor, access: writable ? 'rw' : 'r' }, rules);
}

/** Has its own access, whatever rules of the request say. */
function injectedRule({ major, minor }: OciDevice, access: string): readonly OciDeviceRule[] {
  return access === '' ? [] : [{ allow: true, type: 'c', major, minor, access }];
}

function missingRule(
  device: DeviceNumber & { readonly access: string },
  rules: readonly OciDeviceRule[],
): readonly OciDeviceRule[] {
  const rule = { allow: true, type: 'c', ...device };
  const { major, minor } = device;
  const has = rules.some((each) => each.allow && each.major === major && each.minor === minor);
  return has || isDefaultDeviceRule(rule) ? [] : [rule];
}

/**
 * A VFIO group has the rule of its node. Access to a disk is as in the spec's rules for it; without any (the Go runtime sends none) read and write. Only runc
 * creates its node.
 */
function attachedRule(
  { type, major, minor }: GuestDevice,
  requested: readonly OciDeviceRule[],
  device: OciDevice | undefined,
): readonly OciDeviceRule[] {
  if (device === undefined || type !== 'b') return [];
  const own = requested.filter(
    (rule) => rule.allow && rule.type === 'b' && rule.major === device.major && rule.minor === device.minor,
  );
  const asked = own.map(({ access = 'rw' }) => access).join('');
  const access = own.length === 0 ? 'rw' : ['r', 'w'].filter((letter) => asked.includes(letter)).join('');
  return [{ allow: true, type: 'b', major, minor, access }];
}

/** A character device of the guest that is the source of a bind mount. */
export interface BoundDevice {
  readonly major: number;
  readonly minor: number;
  readonly writable: boolean;
}

/** The guest's devices, and those that containers may have. */
export interface DeviceContext {
  /** The disks and VFIO groups that the request attached. */
  readonly attached: readonly GuestDevice[];
  /** Sources of the container's bind mounts. */
  readonly bound: readonly BoundDevice[];
  /** Devices that belong to what the request attaches or names; they replace nodes of the request. */
  readonly injected: readonly InjectedDevice[];
  readonly access: Pick<GuestAccess, 'privileged' | 'devices' | 'sysctls'>;
  readonly guest: GuestDevices;
}

/** A device of a request with the one that the container gets for it. */
export interface TranslatedDevice {
  readonly requested: OciDevice;
  readonly own: OciDevice;
}

/**
 * Reports whether a node is a default device, by both path and number: /dev/null with another number is another device.
 */
export function isDefaultDevice(path: string, { major, minor }: DeviceNumber): boolean {
  const usual = defaultDevices.get(path);
  return usual !== undefined && usual.major === major && usual.minor === minor;
}

/** Reports whether a rule is for a default device, or for terminals. */
function isDefaultDeviceRule({ type, major, minor }: OciDeviceRule): boolean {
  if (type !== 'c') return false;
  if (major === terminals) return true;
  return [...defaultDevices.values()].some((usual) => usual.major === major && usual.minor === minor);
}

/** Reports whether a character device gives access to the guest's memory or I/O ports. */
export function isGuestMemory({ major, minor }: DeviceNumber): boolean {
  return guestMemory.has(`${major}:${minor}`);
}

export function checkDeviceNumber({ major, minor }: DeviceNumber, named: string): void {
  if (isNumber(major, maxMajor) && isNumber(minor, maxMinor)) return;
  throw new GuestError('invalid', `${named}: the device number is out of range`);
}

/** Checks a device rule. A number of -1 means all. */
function checkRule({ type = 'a', major = -1, minor = -1, access }: OciDeviceRule): void {
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
