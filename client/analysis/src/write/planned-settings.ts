import { createHash } from 'node:crypto';
import { isMessage, type Message } from '@bufbuild/protobuf';
import { isLocalhostName } from '@kata-agent/catalogue/localhost-names';
import { parseSealed } from '@kata-agent/catalogue/sealed-secret';
import { isResource } from '@kata-agent/config';
import { describePrivileges, type PrivilegeAccess, privilegedReasons, privilegesOf } from '@kata-agent/gate';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { ExpectedCall, Workload } from '@kata-agent/workloads';
import { commentedLines, oneLine, reasonsText, type Wanted } from './reasons.js';

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

/** A `[[secret]]` before it is rendered. */
export interface PlannedSecret {
  /** Its keys and values, in order. */
  readonly keys: Readonly<Record<string, string>>;
  readonly because: readonly string[];
}

/** Returns a table in TOML. */
export function secretText({ keys, because }: PlannedSecret): string {
  const lines = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  return `${reasonsText('#', { because })}\n[[secret]]\n${lines.join('')}`;
}

/** Names of hosts files with their addresses. */
export type PlannedAliases = ReadonlyMap<string, readonly string[]>;

/** Returns the `hostAliases` of workloads. No configuration can give a name of localhost another address. */
export function plannedAliases(workloads: readonly Workload[]): PlannedAliases {
  const found = new Map<string, readonly string[]>();
  for (const { hostAliases } of workloads)
    for (const { address, names } of hostAliases)
      for (const name of names.map((each) => each.toLowerCase()))
        if (!isLocalhostName(name)) found.set(name, [...new Set([...(found.get(name) ?? []), address])]);
  return found;
}

/** Returns the key of `[agent]`; empty if there is none. */
export function aliasesText(aliases: PlannedAliases): string {
  if (aliases.size === 0) return '';
  const entries = [...aliases].map(
    ([name, addresses]) =>
      `${JSON.stringify(name)} = [${addresses.map((each) => JSON.stringify(each)).join(', ')}]`,
  );
  return `# Names that /etc/hosts of containers can have beside localhost and the pod: hostAliases\nhost_aliases = { ${entries.join(', ')} }\n`;
}

type MountedVolume = NonNullable<ExpectedCall['volumes']>[number];

/** Returns the mounts of directories that the host shares as they are, each as `CONTAINER=MOUNT POINT`. */
export function liveVolumes(calls: readonly ExpectedCall[]): readonly string[] {
  return mountsWith(calls, ({ isLive }) => isLive === true);
}

/** Returns the volumes that images declare and the guest fills, each as `CONTAINER=MOUNT POINT`. */
export function imageVolumes(calls: readonly ExpectedCall[]): readonly string[] {
  return mountsWith(calls, ({ isOfImage }) => isOfImage === true);
}

function mountsWith(
  calls: readonly ExpectedCall[],
  isWanted: (volume: MountedVolume) => boolean,
): readonly string[] {
  const named = calls.flatMap(({ container = '', volumes = [] }) =>
    volumes.filter(isWanted).map(({ destination }) => `${container}=${destination}`),
  );
  return [...new Set(named)];
}

/** Returns the key of `[agent]`; empty if there is none. */
export function imageVolumesText(volumes: readonly string[]): string {
  if (volumes.length === 0) return '';
  return (
    '# Volumes that images declare: the guest fills them from the roots of the containers.\n' +
    `image_volumes = [${volumes.map((each) => JSON.stringify(each)).join(', ')}]\n`
  );
}

/** Returns comments of `[agent]` about them; empty if there is none. The input does not say whose programs need links. */
export function liveVolumesText(live: readonly string[]): string {
  if (live.length === 0) return '';
  return (
    '# The host shares these volumes as they are: a link that it plants leads the program to another file of the container.\n' +
    '# Name here those in which no program needs symbolic links:\n' +
    `# nosymfollow = [${live.map((each) => JSON.stringify(each)).join(', ')}]\n`
  );
}

/**
 * Returns where the sealed secrets of workloads are unsealed: bound to the resource, if they name one of the key broker, and otherwise
 * to their text. What only begins like a sealed secret stays text.
 */
export function plannedSecrets(
  workloads: readonly Workload[],
  shortOf: (workload: Workload) => (reason: string) => string,
): readonly PlannedSecret[] {
  const found = new Map<string, PlannedSecret>();
  for (const workload of workloads) {
    const short = shortOf(workload);
    for (const { container, place, text, path } of workload.sealedLocations) {
      const parsed = parseSealed(text);
      if (typeof parsed === 'string') continue;
      const names = parsed.type === 'vault' && parsed.provider === 'kbs' && isResource(parsed.name);
      const binding = names
        ? { resource: parsed.name }
        : { sha256: createHash('sha256').update(text, 'latin1').digest('hex') };
      const keys = { container, ...place, ...binding };
      const key = JSON.stringify(keys);
      if (!found.has(key)) found.set(key, { keys, because: [short(path)] });
    }
  }
  return [...found.values()];
}
