import { isMessage, type Message } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema, ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import type { LinuxCapabilities, LinuxNamespace } from '@kata-agent/protocol/oci';

/**
 * The names of capabilities in the runtime specification. Kata's agent also accepts them without `CAP_`, which is completed
 * before rules see them (`specNames`), and as JSON text: `"\"SYS_ADMIN\""` (Kata 4.1, `cap_vec2hashset` in
 * src/libs/protocols/src/trans.rs).
 */
const capability = /^CAP_(?!CAP_)[A-Z][A-Z_]*$/;

/** Kata's agent takes any other name for the first of an enumeration (`impl From<grpc::LinuxNamespace>`). */
const namespaces: ReadonlySet<string> = new Set([
  'pid',
  'network',
  'mount',
  'ipc',
  'uts',
  'user',
  'cgroup',
  'time',
]);

/**
 * Returns what is wrong with a name that the inner agent could read as another one than rules do; undefined if nothing is. A
 * rule against CAP_SYS_ADMIN would not match another spelling of it.
 */
export function ambiguousName(request: Message): string | undefined {
  if (isMessage(request, ExecProcessRequestSchema)) return capabilityFault(request.process?.Capabilities);
  if (!isMessage(request, CreateContainerRequestSchema)) return undefined;
  return (
    capabilityFault(request.OCI?.Process?.Capabilities) ??
    namespaceFault(request.OCI?.Linux?.Namespaces ?? [])
  );
}

function capabilityFault(sets: LinuxCapabilities | undefined): string | undefined {
  if (sets === undefined) return undefined;
  const { Bounding, Effective, Inheritable, Permitted, Ambient } = sets;
  const unknown = [Bounding, Effective, Inheritable, Permitted, Ambient]
    .flat()
    .find((name) => !capability.test(name));
  return unknown === undefined ? undefined : `${quoted(unknown)} is not the name of a capability`;
}

function namespaceFault(spaces: readonly LinuxNamespace[]): string | undefined {
  const unknown = spaces.find(({ Type }) => !namespaces.has(Type));
  return unknown === undefined ? undefined : `${quoted(unknown.Type)} is not the type of a namespace`;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
