import { type PrivilegedReason, privilegedReasons } from '@kata-agent/catalogue';
import { isMessage, type Message } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { Linux, Process } from '@kata-agent/protocol/oci';
import { capabilitiesOf, processOf } from '../facts/process-of.js';
import { devicePrivileges } from './device-privileges.js';
import { mountPrivileges } from './mount-privileges.js';
import { noAccess, type Privilege, type PrivilegeAccess } from './privilege.js';
import { alwaysNamespaces, defaultCapabilities } from './runtime-defaults.js';

/** The kubelet's value for a pod's pause container; the agent has -999 (S20). */
const lowestOomScore = -998n;

/**
 * Returns what makes the container or exec of a request privileged; empty for every other request. Names are those of
 * the OCI specification. `access` is what the configuration opens.
 */
export function privilegesOf(request: Message, access: PrivilegeAccess = noAccess): readonly Privilege[] {
  const process = processOf(request);
  const ofProcess = process === undefined ? [] : processPrivileges(process, access);
  return isMessage(request, CreateContainerRequestSchema)
    ? [...ofProcess, ...containerPrivileges(request, access)]
    : ofProcess;
}

/** Returns the distinct reasons in the order of the table. */
export function reasonsOf(privileges: readonly Privilege[]): readonly PrivilegedReason[] {
  const found = new Set(privileges.map(({ reason }) => reason));
  return (Object.keys(privilegedReasons) as PrivilegedReason[]).filter((reason) => found.has(reason));
}

function processPrivileges(
  { Capabilities, OOMScoreAdj }: Process,
  { capabilities }: PrivilegeAccess,
): readonly Privilege[] {
  return [
    ...capabilitiesOf(Capabilities)
      .filter((name) => !defaultCapabilities.has(name) && !capabilities.includes(name))
      .map((detail): Privilege => ({ reason: 'capabilities', detail })),
    ...(OOMScoreAdj < lowestOomScore ? [{ reason: 'oom-score', detail: String(OOMScoreAdj) } as const] : []),
  ];
}

function containerPrivileges(request: CreateContainerRequest, access: PrivilegeAccess): readonly Privilege[] {
  const { OCI, sharedMounts, sandboxPidns } = request;
  return [
    ...(OCI === undefined ? [] : mountPrivileges(OCI, access)),
    ...(OCI?.Linux === undefined ? [] : namespacePrivileges(OCI.Linux, access)),
    ...(sandboxPidns && !access.shareProcesses
      ? [{ reason: 'shared-processes', detail: 'sandbox_pidns' } as const]
      : []),
    ...sharedMounts.map(
      ({ srcCtr, srcPath }): Privilege => ({ reason: 'shared-mounts', detail: `${srcPath} of ${srcCtr}` }),
    ),
    ...devicePrivileges(request, access),
  ];
}

function namespacePrivileges(
  { Namespaces, UIDMappings, GIDMappings }: Linux,
  { networkNamespaces, userNamespaces }: PrivilegeAccess,
): readonly Privilege[] {
  const types = new Set(Namespaces.map(({ Type }) => Type));
  const isMapped = types.has('user') || UIDMappings.length > 0 || GIDMappings.length > 0;
  return [
    ...alwaysNamespaces
      .filter((type) => !types.has(type))
      .map((type): Privilege => ({ reason: 'host-namespaces', detail: `no ${type} namespace` })),
    ...Namespaces.filter(({ Path }) => Path !== '')
      .filter(({ Type, Path }) => Type !== 'network' || !networkNamespaces.includes(Path))
      .map(
        ({ Type, Path }): Privilege => ({
          reason: Type === 'network' ? 'network-namespace' : 'host-namespaces',
          detail: Path,
        }),
      ),
    ...(isMapped && !userNamespaces ? [{ reason: 'user-namespace', detail: 'user' } as const] : []),
  ];
}
