import type { CreateContainerRequest } from '@kata-agent/protocol/agent';
import type { LinuxDevice, LinuxDeviceCgroup } from '@kata-agent/protocol/oci';
import type { Privilege, PrivilegeAccess } from './privilege.js';
import { ptsMajor, defaultDevices } from './runtime-defaults.js';

/**
 * Returns device nodes, device rules and CDI devices beyond those of every container, of attached disks, and of the
 * configuration.
 */
export function devicePrivileges(
  { OCI, devices }: CreateContainerRequest,
  access: PrivilegeAccess,
): readonly Privilege[] {
  const attached = new Map(devices.map(({ containerPath, type }) => [containerPath, type]));
  const nodes = OCI?.Linux?.Devices ?? [];
  const isOpen = (node: LinuxDevice): boolean => nodeIsOpen(node, attached, access);
  const numbers = new Set(nodes.filter(isOpen).map(({ Type, Major, Minor }) => `${Type} ${Major}:${Minor}`));
  return [
    ...rulePrivileges(OCI?.Linux?.Resources?.Devices ?? [], access, numbers),
    ...nodes
      .filter((node) => !isOpen(node))
      .map((node): Privilege => ({ reason: 'devices', detail: node.Path })),
    ...cdiDevices(OCI?.Annotations ?? {})
      .filter((name) => !access.devices.includes(name))
      .map((detail): Privilege => ({ reason: 'devices', detail })),
  ];
}

/** Returns device rules beyond those of every container, of the configuration, and of nodes that are open. */
export function rulePrivileges(
  rules: readonly LinuxDeviceCgroup[],
  access: PrivilegeAccess,
  nodes: ReadonlySet<string> = new Set(),
): readonly Privilege[] {
  const isOpen = (rule: LinuxDeviceCgroup): boolean =>
    !rule.Allow || isEngineRule(rule) || nodes.has(numberOf(rule)) || access.devices.includes(numberOf(rule));
  return rules
    .filter((rule) => !isOpen(rule))
    .map((rule) => ({
      reason: isWide(rule) ? 'all-devices' : 'devices',
      detail: isWide(rule) ? `${rule.Type || 'a'} ${star(rule.Major)}:${star(rule.Minor)}` : numberOf(rule),
    }));
}

/**
 * Returns the CDI devices that annotations request (agent/guest/src/cdi/requested-cdi-devices.ts). The agent itself refuses those
 * of VISIBLE_CDI_DEVICES, whose meaning depends on a setting.
 */
function cdiDevices(annotations: Readonly<Record<string, string>>): readonly string[] {
  if (annotations['io.katacontainers.pkg.oci.container_type'] === 'pod_sandbox') return [];
  return Object.entries(annotations)
    .filter(([name]) => name.startsWith('cdi.k8s.io/'))
    .flatMap(([, value]) => value.split(','));
}

function nodeIsOpen(
  { Path, Type, Major, Minor }: LinuxDevice,
  /** The type of each attached device, by its path. */
  attached: ReadonlyMap<string, string>,
  { devices }: PrivilegeAccess,
): boolean {
  if (Type === 'b') return attached.has(Path);
  if (Type !== 'c' && Type !== 'u') return false;
  if (attached.get(Path) === 'vfio-pci') return true;
  return (
    defaultDevices.get(Path) === `${Major}:${Minor}` ||
    devices.includes(Path) ||
    devices.includes(`c ${Major}:${Minor}`)
  );
}

/** Reports whether container engines allow this rule to every container. Creating a node gives no access. */
function isEngineRule(rule: LinuxDeviceCgroup): boolean {
  const { Type, Major, Minor, Access } = rule;
  if (Access === 'm' && (Type === 'c' || Type === 'b') && isAll(rule)) return true;
  if (Type !== 'c') return false;
  return (Major === ptsMajor && Minor < 0n) || [...defaultDevices.values()].includes(`${Major}:${Minor}`);
}

/** A rule for device 0:0 is one without numbers, since there is no such device. */
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
