import type { OciResources } from '../request/oci-spec.js';
import { formatCpuList, parseCpuList } from './cpu-list.js';

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
