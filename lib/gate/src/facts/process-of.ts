import { isMessage, type Message } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema, ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import type { LinuxCapabilities, Process } from '@kata-agent/protocol/oci';

/** Returns the process that a request starts; undefined when it starts none. */
export function processOf(request: Message): Process | undefined {
  if (isMessage(request, ExecProcessRequestSchema)) return request.process;
  if (isMessage(request, CreateContainerRequestSchema)) return request.OCI?.Process;
  return undefined;
}

/**
 * Returns a process's working directory. An absent one becomes the guest's default, so that rules and records see what
 * is used.
 */
export function directoryOf({ Cwd }: Pick<Process, 'Cwd'>): string {
  return Cwd === '' ? '/' : Cwd;
}

/** Returns every capability in any of the five sets, sorted. */
export function capabilitiesOf(sets: LinuxCapabilities | undefined): readonly string[] {
  if (sets === undefined) return [];
  const { Bounding, Effective, Inheritable, Permitted, Ambient } = sets;
  return [...new Set([...Bounding, ...Effective, ...Inheritable, ...Permitted, ...Ambient])].sort();
}
