import { create, isMessage } from '@bufbuild/protobuf';
import type { ExecDefaults, Guest } from '@kata-agent/guest';
import { ExecProcessRequestSchema } from '@kata-agent/protocol/agent';
import { LinuxCapabilitiesSchema, POSIXRlimitSchema, type Process } from '@kata-agent/protocol/oci';
import type { ServerInterceptor } from '@kata-agent/ttrpc';
import type { Caller } from '../caller/caller.js';

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
