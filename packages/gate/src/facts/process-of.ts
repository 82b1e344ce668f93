import { isMessage, type Message } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema, ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import type { LinuxCapabilities, Process } from '@kata-agent/protocol/oci';

/** The process that a request asks to start; undefined when it asks for none. */
export function processOf(request: Message): Process | undefined {
  if (isMessage(request, ExecProcessRequestSchema)) return request.process;
  if (isMessage(request, CreateContainerRequestSchema)) return request.OCI?.Process;
  return undefined;
}

/** Where a process starts: what the guest takes for a folder that is not given is what rules and records have to see. */
export function folderOf({ Cwd }: Pick<Process, 'Cwd'>): string {
  return Cwd === '' ? '/' : Cwd;
}

/** Every capability in any of the five sets, sorted. */
export function capabilitiesOf(sets: LinuxCapabilities | undefined): readonly string[] {
  if (sets === undefined) return [];
  const { Bounding, Effective, Inheritable, Permitted, Ambient } = sets;
  return [...new Set([...Bounding, ...Effective, ...Inheritable, ...Permitted, ...Ambient])].sort();
}
