import { type Decision, kataDirectory, openingKey } from '@kata-agent/catalogue';
import { isMessage, type Message } from '@bufbuild/protobuf';
import type { Configuration } from '@kata-agent/config';
import { CreateContainerRequestSchema, UpdateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { Mount, Spec } from '@kata-agent/protocol/oci';
import { rulePrivileges } from './device-privileges.js';
import { isBind } from './mount-privileges.js';
import { isWithin, opensPath, type Privilege, type PrivilegeAccess } from './privilege.js';
import { privilegesOf, reasonsOf } from './privileges-of.js';

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

/** The rule name in decisions that deny a privileged container. */
export const privilegedRule = 'privileged_containers';

const methods: ReadonlySet<string> = new Set(['CreateContainer', 'ExecProcess']);
/** Of an inner agent. This one does not change devices in an update. */
const forwardedMethods: ReadonlySet<string> = new Set([...methods, 'UpdateContainer']);

/** Limits for a decision's text: details per reason, and characters per detail. */
const max = { details: 3, characters: 80 };

/** The parts of a configuration that decide about privileged containers. */
export type PrivilegeSettings = Pick<Configuration, 'documents'> & {
  readonly settings: Pick<Configuration['settings'], 'privilegedContainers' | keyof PrivilegeAccess> & {
    readonly forward?: Configuration['settings']['forward'];
  };
};

/** Whether privileged containers are denied; by default they are when there is a configuration. */
export function privilegedContainers({ settings, documents }: PrivilegeSettings): 'refuse' | 'allow' {
  return settings.privilegedContainers ?? (documents.length > 0 ? 'refuse' : 'allow');
}

/** Denies privileged containers, before and independent of a document's rules. */
export class PrivilegeGate {
  /** What the configuration opens; available to rules too. */
  readonly access: PrivilegeAccess;
  readonly refuses: boolean;
  readonly #forwards: boolean;

  constructor(settings: PrivilegeSettings) {
    const { devices, guestPaths, networkNamespaces, capabilities, shareProcesses, userNamespaces } =
      settings.settings;
    this.access = { devices, guestPaths, networkNamespaces, capabilities, shareProcesses, userNamespaces };
    this.#forwards = settings.settings.forward !== undefined;
    this.refuses = privilegedContainers(settings) === 'refuse';
    Object.freeze(this);
  }

  /** Reports whether requests of the method can be denied. */
  concerns(method: string): boolean {
    return this.refuses && (this.#forwards ? forwardedMethods : methods).has(method);
  }

  /** Decides on a call that the lists allow. Never throws. */
  decide(allowed: Decision, request: Message): Decision {
    if (!this.concerns(allowed.method) || allowed.outcome === 'deny') return allowed;
    const found = [
      ...privilegesOf(request, this.access),
      ...(this.#forwards ? forwardedPrivileges(request, this.access) : []),
    ];
    if (found.length === 0) return allowed;
    return Object.freeze({
      ...allowed,
      outcome: 'deny',
      code: 'KA3103',
      rule: privilegedRule,
      reason: `privileged_containers = "refuse": ${describePrivileges(found)}`,
      message: remedy(found),
    });
  }
}

/** `capabilities (CAP_SYS_ADMIN, CAP_SYS_PTRACE), shared-processes (sandbox_pidns)`. */
export function describePrivileges(privileges: readonly Privilege[]): string {
  return reasonsOf(privileges)
    .map((reason) => {
      const details = privileges.filter((one) => one.reason === reason).map(({ detail }) => clipped(detail));
      const more = details.length - max.details;
      const named = details.slice(0, max.details).join(', ');
      return `${reason} (${named}${more > 0 ? `, and ${more} more` : ''})`;
    })
    .join(', ');
}

function clipped(detail: string): string {
  return detail.length > max.characters ? `${detail.slice(0, max.characters)}…` : detail;
}

/** Returns the smallest change of the configuration that allows the container. */
function remedy(found: readonly Privilege[]): string {
  const keys = new Set(found.map(({ reason, detail }) => openingKey(reason, detail)));
  const opened = [...keys].filter((key) => key !== undefined);
  return opened.length === keys.size
    ? `[agent] ${opened.join(' and ')} can allow it`
    : 'only [agent] privileged_containers = "allow" allows it';
}

/**
 * Returns what this agent's own work in the guest prevents, and an inner agent's does not (`[agent] forward`): Kata's agent binds
 * the root file system from any path, mounts any type, and obeys the device rules of UpdateContainer (Kata 4.1, `setup_bundle` and
 * `update_container` in src/agent/src/rpc.rs).
 */
function forwardedPrivileges(request: Message, access: PrivilegeAccess): readonly Privilege[] {
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
