import { isMessage, type Message } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema, ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import type { LinuxCapabilities, LinuxNamespace } from '@kata-agent/protocol/oci';
import type { ServerInterceptor } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';

/** A capability without `CAP_`; anything else that is not the specification's name is the guest's to refuse. */
const shortCapability = /^(?!CAP_)[A-Z][A-Z_]*$/;

const namespaces: ReadonlyMap<string, string> = new Map([
  ['mnt', 'mount'],
  ['net', 'network'],
]);

/**
 * The names of the runtime specification, whoever wrote them. Kata's Rust clients (runtime-rs and agent-ctl, since 3.8) send
 * what the library oci-spec calls them: `SYS_ADMIN` for CAP_SYS_ADMIN, `mnt` and `net` for the namespaces; Kata's own
 * agent takes either. This comes before rules and record, so that there is one name to compare in a rule, and no
 * second one to get past it. The message is the call's own, and is changed where it stands.
 */
export const specNames: ServerInterceptor<Caller> = (request, _context, next) => {
  const { sets, spaces } = named(request);
  if (sets !== undefined) nameCapabilities(sets);
  for (const space of spaces) space.Type = namespaces.get(space.Type) ?? space.Type;
  return next(request);
};

/** The parts of a request that have such names. */
function named(request: Message): {
  readonly sets: LinuxCapabilities | undefined;
  readonly spaces: readonly LinuxNamespace[];
} {
  if (isMessage(request, ExecProcessRequestSchema))
    return { sets: request.process?.Capabilities, spaces: [] };
  if (isMessage(request, CreateContainerRequestSchema)) {
    const { Process, Linux } = request.OCI ?? {};
    return { sets: Process?.Capabilities, spaces: Linux?.Namespaces ?? [] };
  }
  return { sets: undefined, spaces: [] };
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
