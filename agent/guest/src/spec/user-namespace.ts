import { GuestError } from '../error/guest-error.js';
import type { OciIdMapping, OciLinux } from '../request/oci-spec.js';

/** The ids in the guest of user and group 0 of a container with a user namespace. */
export interface MappedRoot {
  readonly uid: number;
  readonly gid: number;
}

type Mapped = Pick<OciLinux, 'namespaces' | 'uidMappings' | 'gidMappings'>;

/**
 * Returns the root of the container's user namespace; undefined: it has none, and its users are the guest's.
 *
 * @throws GuestError `invalid` for a user namespace without mappings of id 0, and for mappings without one.
 */
export function mappedRoot(linux: Mapped | undefined): MappedRoot | undefined {
  const { namespaces = [], uidMappings = [], gidMappings = [] } = linux ?? {};
  const isMapped = uidMappings.length > 0 || gidMappings.length > 0;
  if (!namespaces.some(({ type }) => type === 'user')) {
    if (!isMapped) return undefined;
    throw new GuestError(
      'invalid',
      'the spec has mappings of ids and no user namespace; help: add a namespace of type "user", or remove UIDMappings and GIDMappings',
    );
  }
  return { uid: hostIdOfZero('UIDMappings', uidMappings), gid: hostIdOfZero('GIDMappings', gidMappings) };
}

/** The OCI runtimes set up the container as id 0 of its namespace. */
function hostIdOfZero(name: 'UIDMappings' | 'GIDMappings', mappings: readonly OciIdMapping[]): number {
  const first = mappings.find(({ containerID, size }) => containerID === 0 && size > 0);
  if (first !== undefined) return first.hostID;
  const what = mappings.length === 0 ? `no ${name}` : `${name} without id 0`;
  throw new GuestError(
    'invalid',
    `the spec has a user namespace and ${what}; help: map id 0 of the container to an id of the guest`,
  );
}

/** Returns the mappings of a spec as one text, for comparison with those of a process. */
export function mappingsOfSpec({ uidMappings = [], gidMappings = [] }: Mapped): string {
  const lines = (mappings: readonly OciIdMapping[]): readonly string[] =>
    mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}`);
  return joinedMappings(lines(uidMappings), lines(gidMappings));
}

/** Sorts the lines, as the kernel sorts long lists. */
export function joinedMappings(users: readonly string[], groups: readonly string[]): string {
  return `users: ${users.toSorted().join(', ')}\ngroups: ${groups.toSorted().join(', ')}\n`;
}
