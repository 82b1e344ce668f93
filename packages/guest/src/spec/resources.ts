import type { OciResources } from '../oci-spec.js';

/** The protocol has no other word for "not set" than 0, empty or false. */
function isSet(value: unknown): boolean {
  return value !== undefined && value !== '' && value !== false && value !== 0 && value !== 0n;
}

function setMembers<T extends object>(record: T | undefined): Partial<T> | undefined {
  const entries = Object.entries(record ?? {}).filter(([, value]) => isSet(value));
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as Partial<T>);
}

/**
 * What runc shall set. Device rules are the spec's matter (S11) and stay out of an update; so does the network class. The
 * kubelet limits each page size that its host has: what the guest has not (`hugePages`) cannot be used, and needs no limit.
 */
export function settableResources(resources: OciResources, hugePages: readonly string[]): OciResources {
  const { pids, blockIO, hugepageLimits } = resources;
  return {
    memory: setMembers(resources.memory),
    cpu: setMembers(resources.cpu),
    pids: isSet(pids?.limit) ? pids : undefined,
    blockIO,
    hugepageLimits: hugepageLimits?.filter(({ pageSize }) => hugePages.includes(pageSize)),
  };
}
