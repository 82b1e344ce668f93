import type { GuestAccess } from '../guest-access.js';
import { GuestError } from '../guest-error.js';
import { quotedPath } from '../quoted.js';
import type { OciIdMapping, OciLinux, OciNamespace } from '../request/oci-spec.js';

/** The user namespace of the pod. */
export interface SharedUserNamespace {
  readonly path: string;
  /** Its mappings, as `mappingsOfSpec` writes them. */
  readonly mappings: string;
}

/** The namespaces that a container joins; undefined: it gets its own, or the guest's (network). */
export interface SharedNamespaces {
  readonly pid?: string | undefined;
  readonly ipc?: string | undefined;
  readonly uts?: string | undefined;
  /** Joined by containers with the same mappings. */
  readonly user?: SharedUserNamespace | undefined;
  /** The network namespace that the request names, as opened by `openNetworkNamespace`. */
  readonly network?: string | undefined;
}

const known: ReadonlySet<string> = new Set([
  'pid',
  'network',
  'mount',
  'ipc',
  'uts',
  'user',
  'cgroup',
  'time',
]);

/** The sandbox is the guest: all containers share its time namespace, and its network unless they name another. */
const dropped: ReadonlySet<string> = new Set(['network', 'time']);

export function checkNamespaces(requested: readonly OciNamespace[] | undefined): void {
  const strange = requested?.find(({ type }) => !known.has(type));
  if (strange !== undefined)
    throw new GuestError('invalid', `namespace type ${JSON.stringify(strange.type)} is not known`);
}

/**
 * Returns the path of the network namespace that a request names; undefined: none. The forwarder of peer pods adds one
 * to the namespaces of a runtime, which has none (cloud-api-adaptor, pkg/forwarder/interceptor).
 *
 * @throws GuestError `invalid` for two network namespaces, `refused` for one that the configuration does not list.
 */
export function requestedNetwork(
  requested: readonly OciNamespace[] | undefined,
  { privileged, networkNamespaces }: Pick<GuestAccess, 'privileged' | 'networkNamespaces'>,
): string | undefined {
  const networks = requested?.filter(({ type }) => type === 'network') ?? [];
  const path = networks.map((each) => each.path ?? '').find((each) => each !== '');
  if (path === undefined) return undefined;
  if (networks.length > 1)
    throw new GuestError('invalid', 'the request has several network namespaces; help: request one');
  if (privileged === 'allow' || networkNamespaces.includes(path)) return path;
  const shown = quotedPath(path);
  throw new GuestError(
    'refused',
    `network namespace ${shown} is refused; help: add it to network_namespaces = [${shown}]`,
  );
}

/**
 * Returns the namespaces that the OCI runtime creates or joins. Of the paths in a request only that of a network
 * namespace is used (`requestedNetwork`); others are the host's (S10).
 * A container always gets a mount and a pid namespace, since the runtimes leave the latter to the agent. Under cgroup v2
 * it also gets a cgroup namespace: Kata's agent always unshares it there (rustjail/src/container.rs), and its Go runtime
 * removes it from the spec.
 */
export function containerNamespaces(
  linux: Pick<OciLinux, 'namespaces' | 'uidMappings' | 'gidMappings'>,
  shared: SharedNamespaces,
  cgroupVersion: 1 | 2,
): readonly OciNamespace[] {
  const types = new Set((linux.namespaces ?? []).map(({ type }) => type));
  types.add('mount').add('pid');
  if (cgroupVersion === 2) types.add('cgroup');
  if (shared.network !== undefined) types.add('network');
  return [...types]
    .filter((type) => !dropped.has(type) || (type === 'network' && shared.network !== undefined))
    .map((type) => {
      const path = type === 'user' ? userNamespace(linux, shared) : isJoined(type) ? shared[type] : undefined;
      return path === undefined ? { type } : { type, path };
    });
}

function userNamespace(
  linux: Pick<OciLinux, 'uidMappings' | 'gidMappings'>,
  { user }: SharedNamespaces,
): string | undefined {
  return user?.mappings === mappingsOfSpec(linux) ? user.path : undefined;
}

function isJoined(type: string): type is 'pid' | 'ipc' | 'uts' | 'network' {
  return type === 'pid' || type === 'ipc' || type === 'uts' || type === 'network';
}

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
function mappingsOfSpec({ uidMappings = [], gidMappings = [] }: Mapped): string {
  const lines = (mappings: readonly OciIdMapping[]): readonly string[] =>
    mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}`);
  return joinedMappings(lines(uidMappings), lines(gidMappings));
}

/** Sorts the lines, as the kernel sorts long lists. */
export function joinedMappings(users: readonly string[], groups: readonly string[]): string {
  return `users: ${users.toSorted().join(', ')}\ngroups: ${groups.toSorted().join(', ')}\n`;
}
