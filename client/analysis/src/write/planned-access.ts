import { isMessage, type Message } from '@bufbuild/protobuf';
import { describePrivileges, type PrivilegeAccess, privilegedReasons, privilegesOf } from '@kata-agent/gate';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { commentedLines, oneLine, reasonsText } from './commented-lines.js';
import type { Wanted } from './wanted.js';

/** Access that the agent itself would deny, and the keys of `[agent]` that allow it. */
export interface PlannedAccess {
  /** Not empty: only `privileged_containers = "allow"` allows them. Each reason with its origins. */
  readonly privileged: readonly Wanted<string>[];
  readonly guestPaths: readonly Wanted<string>[];
  readonly devices: readonly Wanted<string>[];
  readonly networkNamespaces: readonly Wanted<string>[];
}

export const noPlannedAccess: PlannedAccess = {
  privileged: [],
  guestPaths: [],
  devices: [],
  networkNamespaces: [],
};

interface Asked {
  readonly request: Message;
  readonly because: readonly string[];
}

/** In the notation of `guest_paths`, `devices` and `network_namespaces`. */
const cleanPath = /^(\/(?!\.{1,2}(\/|$))[^/\p{Cc}]+)+$/u;

/** A CDI device in the notation of `devices`. */
const cdiName = /^[A-Za-z][A-Za-z0-9_.-]*\/[A-Za-z][A-Za-z0-9_-]*=[A-Za-z0-9_.:-]+$/;

/** Returns the smallest setting of the keys with which the agent denies none of the requests. */
export function planAccess(asks: readonly Asked[]): PlannedAccess {
  const single = { guestPaths: new Lists(), devices: new Lists(), networkNamespaces: new Lists() };
  for (const { request, because } of asks) {
    for (const { reason, detail } of privilegesOf(request)) {
      const key = privilegedReasons[reason].opens;
      if (
        key === 'devices' &&
        (cdiName.test(detail) || (detail.startsWith('/dev/') && cleanPath.test(detail)))
      )
        single.devices.add(detail, because);
      if (key === 'network_namespaces' && cleanPath.test(detail))
        single.networkNamespaces.add(detail, because);
      if (key === 'guest_paths' && cleanPath.test(detail))
        single.guestPaths.add(`${isWritten(request, detail) ? 'rw:' : ''}${detail}`, because);
    }
  }
  const guestPaths = withoutCovered(single.guestPaths.wanted());
  const devices = single.devices.wanted();
  const networkNamespaces = single.networkNamespaces.wanted();
  const access: PrivilegeAccess = {
    devices: devices.map(({ value }) => value),
    guestPaths: guestPaths.map(({ value }) => value),
    networkNamespaces: networkNamespaces.map(({ value }) => value),
  };
  const rest = new Lists();
  for (const { request, because } of asks) {
    const left = privilegesOf(request, access);
    if (left.length > 0) rest.add(describePrivileges(left), because);
  }
  const privileged = rest.wanted();
  return privileged.length > 0
    ? { ...noPlannedAccess, privileged }
    : { privileged, guestPaths, devices, networkNamespaces };
}

/** Returns the keys in TOML; empty if none is needed. */
export function accessText({ privileged, guestPaths, devices, networkNamespaces }: PlannedAccess): string {
  return [
    privileged.length === 0
      ? ''
      : '# PRIVILEGED: these containers have root access to the guest; rules do not confine them.\n' +
        privileged.map((one) => `# - ${oneLine(one.value)} ${reasonsText('#', one)}\n`).join('') +
        'privileged_containers = "allow"\n',
    listText('guest_paths', guestPaths),
    listText('devices', devices),
    hooksText(devices),
    listText('network_namespaces', networkNamespaces),
  ].join('');
}

/** NVIDIA's specifications have hooks, as those of other vendors can. */
function hooksText(devices: readonly Wanted<string>[]): string {
  const cdi = devices.filter(({ value }) => cdiName.test(value));
  if (cdi.length === 0) return '';
  return '# OCI hooks of the guest\'s own CDI specifications run; those of requests are denied.\nhooks = "cdi"\n';
}

function listText(key: string, list: readonly Wanted<string>[]): string {
  if (list.length === 0) return '';
  const lines = list.map((one) => [`  ${JSON.stringify(one.value)},`, reasonsText('#', one)] as const);
  return `${key} = [\n${commentedLines(lines)}]\n`;
}

/** Reports whether a mount with the source is writable for the container. */
function isWritten(request: Message, source: string): boolean {
  const mounts = isMessage(request, CreateContainerRequestSchema) ? (request.OCI?.Mounts ?? []) : [];
  return mounts.some((mount) => mount.source === source && !mount.options.includes('ro'));
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
class Lists {
  readonly #values = new Map<string, Set<string>>();

  add(value: string, because: readonly string[]): void {
    const reasons = this.#values.get(value) ?? new Set();
    for (const reason of because) reasons.add(reason);
    this.#values.set(value, reasons);
  }

  wanted(): readonly Wanted<string>[] {
    return [...this.#values].map(([value, because]) => ({ value, because: [...because] }));
  }
}
