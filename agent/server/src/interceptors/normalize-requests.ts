import { create, isMessage, type Message } from '@bufbuild/protobuf';
import {
  CopyFileRequestSchema,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
  ResizeVolumeRequestSchema,
  type Storage,
  UpdateEphemeralMountsRequestSchema,
  VolumeStatsRequestSchema,
} from '@kata-agent/protocol/agent';
import { kataDirectory } from '@kata-agent/catalogue';
import type { ExecDefaults, Guest } from '@kata-agent/guest';
import {
  type LinuxCapabilities,
  LinuxCapabilitiesSchema,
  type LinuxNamespace,
  type Mount,
  POSIXRlimitSchema,
  type Process,
} from '@kata-agent/protocol/oci';
import type { ServerInterceptor } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';

/** A capability without `CAP_`. The guest rejects other names that are not in the specification. */
const shortCapability = /^(?!CAP_)[A-Z][A-Z_]*$/;

const namespaces: ReadonlyMap<string, string> = new Map([
  ['mnt', 'mount'],
  ['net', 'network'],
]);

/**
 * Converts names to those of the runtime specification. Kata's Rust clients (runtime-rs and agent-ctl, since 3.8) send
 * the names of the library oci-spec: `SYS_ADMIN` for CAP_SYS_ADMIN, `mnt` and `net` for the namespaces; Kata's own
 * agent accepts both. A bind mount may have the type `none` or no type, beside the option that makes it one (runtime-spec
 * config.md, "Linux mount options"). The conversion precedes rules and records, so that rules compare a single name and an
 * alias cannot bypass them. The call's own message is changed in place.
 */
export const specNames: ServerInterceptor<Caller> = (request, _context, next) => {
  const { sets, spaces, mounts } = named(request);
  if (sets !== undefined) nameCapabilities(sets);
  for (const space of spaces) space.Type = namespaces.get(space.Type) ?? space.Type;
  for (const mount of mounts) if (isUntypedBind(mount)) mount.type = 'bind';
  return next(request);
};

/**
 * `/run/user/UID` before Kata's directory, at the beginning of a path: of a whole value, of an option (`upperdir=`), or
 * of one of several layers (`lowerdir=A:B`).
 */
const rootlessDirectory = new RegExp(
  `(^|[=:,])/+run/+user/+[1-9][0-9]{0,9}/+(?=${kataDirectory.slice(1).replaceAll('/', '/+')}(?:[/:,]|$))`,
  'g',
);

/**
 * Converts paths to those of a runtime whose VMM runs as root. With `rootless`, Kata's runtimes run the VMM as a user of
 * its own, and put that user's directory before the paths of the guest that correspond to paths of the host:
 * `/run/user/1000/run/kata-containers/shared/containers` (Kata 4.1, `kataGuestSharedDir` in
 * src/runtime/virtcontainers/kata_agent.go, `prefix_with_rootless_dir` in src/libs/kata-types/src/lib.rs). The guest has
 * no such user. The conversion precedes rules and records, as that of names in a spec. The call's own message is
 * changed in place.
 */
export const rootlessPaths: ServerInterceptor<Caller> = (request, _context, next) => {
  convert(request);
  return next(request);
};

function convert(request: Message): void {
  if (isMessage(request, CreateContainerRequestSchema)) {
    convertStorages(request.storages);
    const { Root, Mounts = [] } = request.OCI ?? {};
    if (Root !== undefined) Root.Path = rootful(Root.Path);
    for (const mount of Mounts) mount.source = rootful(mount.source);
  } else if (isMessage(request, CreateSandboxRequestSchema)) convertStorages(request.storages);
  else if (isMessage(request, UpdateEphemeralMountsRequestSchema)) convertStorages(request.storages);
  else if (isMessage(request, CopyFileRequestSchema)) request.path = rootful(request.path);
  else if (isMessage(request, VolumeStatsRequestSchema) || isMessage(request, ResizeVolumeRequestSchema))
    request.volumeGuestPath = rootful(request.volumeGuestPath);
}

function convertStorages(storages: readonly Storage[]): void {
  for (const storage of storages) {
    storage.source = rootful(storage.source);
    storage.mountPoint = rootful(storage.mountPoint);
    storage.options = storage.options.map(rootful);
    storage.driverOptions = storage.driverOptions.map(rootful);
  }
}

function rootful(text: string): string {
  return text.replace(rootlessDirectory, '$1/');
}

/**
 * Completes an exec with what it does not state and its container's first process has, as Kata's agent does:
 * capabilities, resource limits, and that it cannot gain privileges. Kata's Go runtime sends none of them
 * (`cmdToKataProcess`), and a shell without capabilities cannot change owners or open low ports. This precedes rules and
 * records, so that they see what the process gets. An exec with empty sets has no capabilities. The call's own message is
 * changed in place.
 */
export function execDefaults(guest: Pick<Guest, 'execDefaults'>): ServerInterceptor<Caller> {
  return (request, _context, next) => {
    if (!isMessage(request, ExecProcessRequestSchema)) return next(request);
    const { process, containerId } = request;
    const defaults = process === undefined ? undefined : guest.execDefaults(containerId);
    if (process !== undefined && defaults !== undefined) complete(process, defaults);
    return next(request);
  };
}

function complete(process: Process, { capabilities, rlimits, noNewPrivileges }: ExecDefaults): void {
  process.NoNewPrivileges ||= noNewPrivileges;
  process.Capabilities ??= create(LinuxCapabilitiesSchema, {
    Bounding: [...(capabilities.bounding ?? [])],
    Effective: [...(capabilities.effective ?? [])],
    Inheritable: [...(capabilities.inheritable ?? [])],
    Permitted: [...(capabilities.permitted ?? [])],
    Ambient: [...(capabilities.ambient ?? [])],
  });
  if (process.Rlimits.length > 0) return;
  process.Rlimits = rlimits.map(({ type, hard, soft }) =>
    create(POSIXRlimitSchema, { Type: type, Hard: BigInt(hard), Soft: BigInt(soft) }),
  );
}

/** Returns the parts of a request with such names. */
function named(request: Message): {
  readonly sets: LinuxCapabilities | undefined;
  readonly spaces: readonly LinuxNamespace[];
  readonly mounts: readonly Mount[];
} {
  if (isMessage(request, ExecProcessRequestSchema))
    return { sets: request.process?.Capabilities, spaces: [], mounts: [] };
  if (isMessage(request, CreateContainerRequestSchema)) {
    const { Process, Linux, Mounts = [] } = request.OCI ?? {};
    return { sets: Process?.Capabilities, spaces: Linux?.Namespaces ?? [], mounts: Mounts };
  }
  return { sets: undefined, spaces: [], mounts: [] };
}

/** Bind mounts of other types are denied, but for the `local` volumes of Kata's Go runtime, which keep their type. */
function isUntypedBind({ type, options }: Mount): boolean {
  return (
    (type === '' || type === 'none') && options.some((option) => option === 'bind' || option === 'rbind')
  );
}

function nameCapabilities(sets: LinuxCapabilities): void {
  const full = (names: readonly string[]): string[] =>
    names.map((name) => (shortCapability.test(name) ? `CAP_${name}` : name));
  sets.Bounding = full(sets.Bounding);
  sets.Effective = full(sets.Effective);
  sets.Inheritable = full(sets.Inheritable);
  sets.Permitted = full(sets.Permitted);
  sets.Ambient = full(sets.Ambient);
}
