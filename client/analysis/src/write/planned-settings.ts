import { createHash } from 'node:crypto';
import { isLocalhostName } from '@kata-agent/catalogue/localhost-names';
import { parseSealed } from '@kata-agent/catalogue/sealed-secret';
import { isResource } from '@kata-agent/config';
import type { ExpectedCall, Workload } from '@kata-agent/workloads';
import { reasonsText } from './reasons.js';

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
