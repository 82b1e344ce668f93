import { isLocalhostName } from '@kata-agent/catalogue/localhost-names';
import type { Workload } from '@kata-agent/workloads';

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
