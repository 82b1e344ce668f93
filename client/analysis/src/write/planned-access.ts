import type { Message } from '@bufbuild/protobuf';
import { capabilities, openingKey } from '@kata-agent/catalogue';
import { describePrivileges, type PrivilegeAccess, privilegesOf } from '@kata-agent/gate';
import { originKey } from '@kata-agent/workloads';
import { namedSysctls, sysctlKeyHas } from './named-sysctls.js';
import { commentedLines, oneLine, reasonsText, type Wanted } from './reasons.js';

/** Access that the agent itself would deny, and the keys of `[agent]` that allow it. */
export interface PlannedAccess {
  /** What only `privileged_containers = "allow"` allows: each reason with its origins. */
  readonly privileged: readonly Wanted<string>[];
  /** Whether that is written if it is needed; without it the agent denies these containers. */
  readonly allowsPrivileged: boolean;
  readonly guestPaths: readonly Wanted<string>[];
  readonly devices: readonly Wanted<string>[];
  readonly networkNamespaces: readonly Wanted<string>[];
  readonly capabilities: readonly Wanted<string>[];
  readonly sysctls: readonly Wanted<string>[];
  /** Origins; undefined: not needed. */
  readonly shareProcesses: Wanted<true> | undefined;
  readonly userNamespaces: Wanted<true> | undefined;
}

export const noPlannedAccess: PlannedAccess = {
  privileged: [],
  allowsPrivileged: false,
  guestPaths: [],
  devices: [],
  networkNamespaces: [],
  capabilities: [],
  sysctls: [],
  shareProcesses: undefined,
  userNamespaces: undefined,
};

interface Asked {
  readonly request: Message;
  readonly because: readonly string[];
  /** Origins of single values, by `originKey`. */
  readonly origins?: ReadonlyMap<string, string> | undefined;
}

/** A path in the notation of `guest_paths`, `devices` and `network_namespaces`. */
const cleanPath = /^(\/(?!\.{1,2}(\/|$))[^/\p{Cc}]+)+$/u;

/** A CDI device in the notation of `devices`. */
const cdiName = /^[A-Za-z][A-Za-z0-9_.-]*\/[A-Za-z][A-Za-z0-9_-]*=[A-Za-z0-9_.:-]+$/;

/** Whether a list of the configuration can have an entry; what it cannot name, only `privileged_containers = "allow"` opens. */
const notations = {
  guest_paths: (entry: string) => cleanPath.test(entry.replace(/^rw:/, '')),
  devices: (entry: string) => cdiName.test(entry) || (entry.startsWith('/dev/') && cleanPath.test(entry)),
  network_namespaces: (entry: string) => cleanPath.test(entry),
  capabilities: (entry: string) => capabilities.includes(entry),
} as const;

interface AccessOptions {
  /** Whether `privileged_containers = "allow"` may be written. */
  readonly allowPrivileged: boolean;
}

/**
 * Returns the smallest setting of the keys with which the agent denies none of the requests; without `allowPrivileged`, none but those
 * that need `privileged_containers = "allow"`.
 */
export function planAccess(asks: readonly Asked[], { allowPrivileged }: AccessOptions): PlannedAccess {
  const single = {
    guest_paths: new Lists<string>(),
    devices: new Lists<string>(),
    network_namespaces: new Lists<string>(),
    capabilities: new Lists<string>(),
    share_processes: new Lists<true>(),
    user_namespaces: new Lists<true>(),
  };
  const rest = new Lists<string>();
  for (const { request, because, origins } of asks) {
    const found = privilegesOf(request);
    // Other keys would not help a container that is denied.
    if (found.some(({ reason, detail }) => openingKey(reason, detail) === undefined)) continue;
    for (const { reason, detail } of found) {
      const key = openingKey(reason, detail);
      const origin = origins?.get(originKey('capabilities', detail));
      if (key === 'share_processes' || key === 'user_namespaces') single[key].add(true, because);
      else if (key !== undefined && notations[key](detail))
        single[key].add(detail, key === 'capabilities' && origin !== undefined ? [origin] : because);
    }
  }
  const sysctls = new Lists<string>();
  for (const { request, because, origins } of asks)
    for (const { name, key, value } of namedSysctls(request)) {
      const origin = origins?.get(originKey('sysctls', [key, value]));
      if (sysctlKeyHas(name)) sysctls.add(name, origin === undefined ? because : [origin]);
    }
  const guestPaths = withoutCovered(single.guest_paths.wanted());
  const devices = single.devices.wanted();
  const networkNamespaces = single.network_namespaces.wanted();
  const wantedCapabilities = single.capabilities.wanted();
  const [shareProcesses] = single.share_processes.wanted();
  const [userNamespaces] = single.user_namespaces.wanted();
  const access: PrivilegeAccess = {
    devices: devices.map(({ value }) => value),
    guestPaths: guestPaths.map(({ value }) => value),
    networkNamespaces: networkNamespaces.map(({ value }) => value),
    capabilities: wantedCapabilities.map(({ value }) => value),
    shareProcesses: shareProcesses !== undefined,
    userNamespaces: userNamespaces !== undefined,
  };
  for (const { request, because } of asks) {
    const left = privilegesOf(request, access);
    if (left.length > 0) rest.add(describePrivileges(left), because);
  }
  const privileged = rest.wanted();
  // It opens everything that the other keys open, but for sysctls of the whole guest.
  if (privileged.length > 0 && allowPrivileged) {
    const ofGuest = sysctls.wanted().filter(({ value }) => !value.startsWith('net.'));
    return { ...noPlannedAccess, privileged, allowsPrivileged: true, sysctls: ofGuest };
  }
  return {
    privileged,
    allowsPrivileged: false,
    guestPaths,
    devices,
    networkNamespaces,
    capabilities: wantedCapabilities,
    sysctls: sysctls.wanted(),
    shareProcesses,
    userNamespaces,
  };
}

/** Returns the keys in TOML; empty if none is needed. */
export function accessText(access: PlannedAccess): string {
  return [
    privilegedText(access),
    listText('guest_paths', access.guestPaths),
    listText('devices', access.devices),
    hooksText(access.devices),
    listText('network_namespaces', access.networkNamespaces),
    listText('capabilities', access.capabilities),
    listText('sysctls', access.sysctls),
    switchText('share_processes', access.shareProcesses),
    switchText('user_namespaces', access.userNamespaces),
  ].join('');
}

function privilegedText({ privileged, allowsPrivileged }: PlannedAccess): string {
  if (privileged.length === 0) return '';
  const reasons = privileged.map((one) => `# - ${oneLine(one.value)} ${reasonsText('#', one)}\n`).join('');
  return allowsPrivileged
    ? `# PRIVILEGED: a container that a rule admits may be root of the guest, and reach all other containers. For:\n${reasons}privileged_containers = "allow"\n`
    : `# DENIED: only privileged_containers = "allow" allows these, and opens the guest to every container that a rule admits:\n${reasons}`;
}

/** NVIDIA's specifications have hooks, as those of other vendors can. */
function hooksText(devices: readonly Wanted<string>[]): string {
  const cdi = devices.filter(({ value }) => cdiName.test(value));
  if (cdi.length === 0) return '';
  return '# OCI hooks of the guest\'s own CDI specifications run; those of requests are denied.\nhooks = "cdi"\n';
}

function switchText(key: string, wanted: Wanted<true> | undefined): string {
  return wanted === undefined ? '' : commentedLines([[`${key} = true`, reasonsText('#', wanted)]]);
}

function listText(key: string, list: readonly Wanted<string>[]): string {
  if (list.length === 0) return '';
  const lines = list.map((one) => [`  ${JSON.stringify(one.value)},`, reasonsText('#', one)] as const);
  return `${key} = [\n${commentedLines(lines)}]\n`;
}

/** A directory in the list includes everything below. */
function withoutCovered(list: readonly Wanted<string>[]): readonly Wanted<string>[] {
  return list.filter(
    ({ value }) =>
      !list.some(({ value: other }) => {
        if (other === value) return false;
        const [path, above] = [value, other].map((entry) => entry.replace(/^rw:/, ''));
        const mayWrite = other.startsWith('rw:') || !value.startsWith('rw:');
        return mayWrite && (path === above || path?.startsWith(`${above}/`) === true);
      }),
  );
}

/** Groups origins by value. */
class Lists<T> {
  readonly #values = new Map<T, Set<string>>();

  add(value: T, because: readonly string[]): void {
    const reasons = this.#values.get(value) ?? new Set();
    for (const reason of because) reasons.add(reason);
    this.#values.set(value, reasons);
  }

  wanted(): readonly Wanted<T>[] {
    return [...this.#values].map(([value, because]) => ({ value, because: [...because] }));
  }
}
