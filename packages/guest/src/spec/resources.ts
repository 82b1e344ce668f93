import type { OciResources } from '../request/oci-spec.js';

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
 * cannot be used, and needs no limit.
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
