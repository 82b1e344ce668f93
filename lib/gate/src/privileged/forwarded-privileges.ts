import { isMessage, type Message } from '@bufbuild/protobuf';
import { kataDirectory } from '@kata-agent/catalogue';
import { CreateContainerRequestSchema, UpdateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { Mount, Spec } from '@kata-agent/protocol/oci';
import { rulePrivileges } from './device-privileges.js';
import { isBind } from './mount-privileges.js';
import { isWithin, opensPath, type Privilege, type PrivilegeAccess } from './privilege-access.js';

/** The file systems that container engines mount. Others, such as overlay and ext4, can have any file or disk of the guest. */
const engineTypes: ReadonlySet<string> = new Set([
  'proc',
  'sysfs',
  'cgroup',
  'cgroup2',
  'tmpfs',
  'devpts',
  'mqueue',
]);

/**
 * Returns what this agent's own work in the guest prevents, and an inner agent's does not (`[agent] forward`): Kata's agent binds
 * the root file system from any path, mounts any type, and obeys the device rules of UpdateContainer (Kata 4.1, `setup_bundle` and
 * `update_container` in src/agent/src/rpc.rs).
 */
export function forwardedPrivileges(request: Message, access: PrivilegeAccess): readonly Privilege[] {
  if (isMessage(request, UpdateContainerRequestSchema))
    return rulePrivileges(request.resources?.Devices ?? [], access);
  if (!isMessage(request, CreateContainerRequestSchema) || request.OCI === undefined) return [];
  return [...rootPrivileges(request.OCI, access), ...request.OCI.Mounts.flatMap(typePrivileges)];
}

function rootPrivileges({ Root }: Spec, access: PrivilegeAccess): readonly Privilege[] {
  const { Path = '', Readonly: readOnly = false } = Root ?? {};
  if (Path === '' || isWithin(Path, kataDirectory) || opensPath(access, Path, !readOnly)) return [];
  return [{ reason: 'guest-paths', detail: `root file system ${Path}` }];
}

function typePrivileges(mount: Mount): readonly Privilege[] {
  if (isBind(mount) || engineTypes.has(mount.type)) return [];
  return [{ reason: 'kernel-filesystem', detail: `${mount.type} at ${mount.destination}` }];
}
