import { isMessage, type Message } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema, ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import type { LinuxCapabilities, LinuxNamespace, Mount } from '@kata-agent/protocol/oci';
import type { ServerInterceptor } from '@kata-agent/ttrpc';
import type { Caller } from '../caller/caller.js';

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
