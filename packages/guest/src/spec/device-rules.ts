import { isEvidence } from '../device/guest-devices.js';
import type { GuestDevice } from '../device/attach-devices.js';
import { GuestError } from '../guest-error.js';
import type { OciDevice, OciDeviceRule } from '../oci-spec.js';
import type { DeviceContext, TranslatedDevice } from './devices.js';
import { checkRule, isUsualRule, usualRules } from './usual-devices.js';

/**
 * Denies all, then allows what the container may have. A rule for all devices, as a privileged container's, opens the usual
 * ones where privileged containers are refused, else every character device but those for evidence. Rules for block
 * devices are left out.
 */
export function deviceRules(
  requested: readonly OciDeviceRule[],
  devices: readonly TranslatedDevice[],
  context: DeviceContext,
): readonly OciDeviceRule[] {
  const { attached } = context;
  for (const rule of requested) checkRule(rule);
  const byPath = new Map(devices.map(({ requested: device }) => [device.path, device]));
  const rules = [
    { allow: false, access: 'rwm' },
    ...requested.flatMap((rule) => ownRules(rule, devices, context)),
  ];
  return [
    ...rules,
    ...devices.flatMap(({ own }) => nodeRule(own, rules)),
    ...attached.map((device) => attachedRule(device, requested, byPath.get(device.containerPath))),
  ];
}

function ownRules(
  rule: OciDeviceRule,
  devices: readonly TranslatedDevice[],
  context: DeviceContext,
): readonly OciDeviceRule[] {
  const all = rule.type === undefined || rule.type === '' || rule.type === 'a';
  if (rule.type === 'b') return [];
  if (!rule.allow) return all ? [] : [rule];
  const { major = -1, minor = -1 } = rule;
  const single = rule.type === 'c' && major !== -1 && minor !== -1;
  return single
    ? [singleRule({ ...rule, major, minor }, devices, context)]
    : wideRules({ ...rule, type: 'c' }, context);
}

/** A rule for one device. Of a device that the request has as a node it is about the guest's number. */
function singleRule(
  rule: OciDeviceRule & { readonly major: number; readonly minor: number },
  devices: readonly TranslatedDevice[],
  { access, guest }: DeviceContext,
): OciDeviceRule {
  const { major, minor } = rule;
  const node = devices.find(({ requested }) => requested.major === major && requested.minor === minor)?.own;
  const own = node === undefined ? rule : { ...rule, major: node.major, minor: node.minor };
  const named = `device rule (c ${major}:${minor})`;
  if (isEvidence({ major: own.major, minor: own.minor }, guest))
    throw new GuestError('refused', `${named} is for evidence about the guest, and goes into no container`);
  const isNamed = access.devices.some(
    (one) => one.kind === 'number' && one.major === major && one.minor === minor,
  );
  if (access.privileged === 'allow' || node !== undefined || isNamed || isUsualRule(own)) return own;
  throw new GuestError(
    'refused',
    `${named} is not for a device that containers have; [agent] devices = ["c ${major}:${minor}"] names it`,
  );
}

/** A rule for several devices. To make a node opens nothing. */
function wideRules(rule: OciDeviceRule, { access, guest }: DeviceContext): readonly OciDeviceRule[] {
  if (rule.access === 'm') return [rule];
  if (access.privileged === 'refuse') return isUsualRule(rule) ? [rule] : usualRules;
  const { major = -1, minor = -1 } = rule;
  const covered = guest
    .list()
    .filter((one) => (major === -1 || one.major === major) && (minor === -1 || one.minor === minor));
  if (!covered.some((number) => isEvidence(number, guest))) return [rule];
  // The OCI runtime takes nothing away from a rule for all: so there is one for each of the others.
  return [
    ...covered.filter((number) => !isEvidence(number, guest)).map((number) => ({ ...rule, ...number })),
    ...usualRules,
  ];
}

/** A node that cannot be opened is of no use, and the runtimes of Kata send no rules. */
function nodeRule(
  { type, major, minor }: OciDevice,
  rules: readonly OciDeviceRule[],
): readonly OciDeviceRule[] {
  const isCharacter =
    (type === 'c' || type === 'u') && !isUsualRule({ allow: true, type: 'c', major, minor });
  const has = rules.some((rule) => rule.allow && rule.major === major && rule.minor === minor);
  return isCharacter && !has ? [{ allow: true, type: 'c', major, minor, access: 'rwm' }] : [];
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
