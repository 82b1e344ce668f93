import type { CreateContainerRequest } from '@kata-agent/protocol/agent';
import type { LinuxDevice, LinuxDeviceCgroup } from '@kata-agent/protocol/oci';
import type { PrivilegeAccess } from './privilege-access.js';
import type { Privilege } from './reason.js';
import { ptsMajor, usualDevices } from './runtime-defaults.js';

/** Device nodes and device rules beyond those of every container, of attached disks, and of the configuration. */
export function devicePrivileges(
  { OCI, devices }: CreateContainerRequest,
  access: PrivilegeAccess,
): readonly Privilege[] {
  const attached = new Set(devices.map(({ containerPath }) => containerPath));
  const nodes = OCI?.Linux?.Devices ?? [];
  const isOpen = (node: LinuxDevice): boolean => nodeIsOpen(node, attached, access);
  const numbers = new Set(nodes.filter(isOpen).map(({ Type, Major, Minor }) => `${Type} ${Major}:${Minor}`));
  const ruleIsOpen = (rule: LinuxDeviceCgroup): boolean =>
    !rule.Allow ||
    isEngineRule(rule) ||
    numbers.has(numberOf(rule)) ||
    access.devices.includes(numberOf(rule));
  return [
    ...(OCI?.Linux?.Resources?.Devices ?? [])
      .filter((rule) => !ruleIsOpen(rule))
      .map(
        (rule): Privilege => ({
          reason: isWide(rule) ? 'all-devices' : 'devices',
          detail: isWide(rule)
            ? `${rule.Type || 'a'} ${star(rule.Major)}:${star(rule.Minor)}`
            : numberOf(rule),
        }),
      ),
    ...nodes
      .filter((node) => !isOpen(node))
      .map((node): Privilege => ({ reason: 'devices', detail: node.Path })),
  ];
}

function nodeIsOpen(
  { Path, Type, Major, Minor }: LinuxDevice,
  attached: ReadonlySet<string>,
  { devices }: PrivilegeAccess,
): boolean {
  if (Type === 'b') return attached.has(Path);
  if (Type !== 'c' && Type !== 'u') return false;
  return (
    usualDevices.get(Path) === `${Major}:${Minor}` ||
    devices.includes(Path) ||
    devices.includes(`c ${Major}:${Minor}`)
  );
}

/** What container engines allow to every container. Making a node opens nothing. */
function isEngineRule(rule: LinuxDeviceCgroup): boolean {
  const { Type, Major, Minor, Access } = rule;
  if (Access === 'm' && (Type === 'c' || Type === 'b') && isAll(rule)) return true;
  if (Type !== 'c') return false;
  return (Major === ptsMajor && Minor < 0n) || [...usualDevices.values()].includes(`${Major}:${Minor}`);
}

/** There is no device 0:0: a rule for it is one without numbers. */
function isAll({ Major, Minor }: LinuxDeviceCgroup): boolean {
  return (Major < 0n && Minor < 0n) || (Major === 0n && Minor === 0n);
}

function isWide(rule: LinuxDeviceCgroup): boolean {
  const { Type, Major, Minor } = rule;
  return (Type !== 'c' && Type !== 'b') || isAll(rule) || Major < 0n || Minor < 0n;
}

function numberOf({ Type, Major, Minor }: LinuxDeviceCgroup): string {
  return `${Type} ${Major}:${Minor}`;
}

function star(number: bigint): string {
  return number < 0n ? '*' : String(number);
}
