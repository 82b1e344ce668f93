import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';
import type { OciResources } from '../request/oci-spec.js';

/** The highest CPU number that a kernel can be built for (CONFIG_NR_CPUS is at most 8192). */
const maxCpu = 8191;

/** The protocol encodes "not set" as 0, empty or false. */
function isSet(value: unknown): boolean {
  return value !== undefined && value !== '' && value !== false && value !== 0 && value !== 0n;
}

function setMembers<T extends object>(record: T | undefined): Partial<T> | undefined {
  const entries = Object.entries(record ?? {}).filter(([, value]) => isSet(value));
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as Partial<T>);
}

/**
 * Returns the resources that runc sets. Device rules are part of the spec (S11) and not of an update; the network class
 * is dropped. The kubelet limits each huge page size of its host: a size that the guest does not have (`hugePages`)
 * cannot be used, and needs no limit. A cpuset has those of its CPUs that are online: the request counts the host's.
 */
export function settableResources(
  resources: OciResources,
  {
    hugePages,
    onlineCpus,
  }: { readonly hugePages: readonly string[]; readonly onlineCpus: readonly number[] },
): OciResources {
  const { cpu, pids, blockIO, hugepageLimits } = resources;
  const cpus = isSet(cpu?.cpus) ? usableCpus(cpu?.cpus ?? '', onlineCpus) : undefined;
  return {
    memory: setMembers(resources.memory),
    cpu: setMembers(cpu && { ...cpu, cpus }),
    pids: isSet(pids?.limit) ? pids : undefined,
    blockIO,
    hugepageLimits: hugepageLimits?.filter(({ pageSize }) => hugePages.includes(pageSize)),
  };
}

/** Returns the CPUs of a cpuset that are online; empty: none. @throws GuestError `invalid` for another form than `0-3,8`. */
export function usableCpus(cpus: string, online: readonly number[]): string {
  return formatCpuList(parseCpuList(cpus).filter((cpu) => online.includes(cpu)));
}

/** Returns a warning about CPUs of a cpuset that are not online, or none. */
export function missingCpus(cpus: string | undefined, online: readonly number[]): readonly string[] {
  const missing = parseCpuList(cpus ?? '').filter((cpu) => !online.includes(cpu));
  if (missing.length === 0) return [];
  return [
    `CPUs ${formatCpuList(missing)} of the container's cpuset are left out: the guest does not have them online`,
  ];
}

/** Parses a list in the kernel's format, `0-3,8` (cpuset(7), "List format"). The result is sorted. */
export function parseCpuList(text: string): readonly number[] {
  const cpus = new Set<number>();
  for (const part of text.trim().split(',')) {
    if (part === '') continue;
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim());
    const first = Number(match?.[1] ?? Number.NaN);
    const last = Number(match?.[2] ?? first);
    if (!(first <= last && last <= maxCpu))
      throw new GuestError('invalid', `CPU list ${quotedWord(text)} is not a list such as 0-3,8`);
    for (let cpu = first; cpu <= last; cpu += 1) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

/** Returns the shortest list of these CPUs. */
export function formatCpuList(cpus: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const cpu of [...cpus].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && cpu <= run[1] + 1) run[1] = cpu;
    else runs.push([cpu, cpu]);
  }
  return runs.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',');
}
