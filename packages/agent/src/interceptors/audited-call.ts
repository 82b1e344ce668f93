import type { Message } from '@bufbuild/protobuf';
import type { AuditedCall, Subject } from '@kata-agent/audit';
import type { HandlerContext } from '@kata-agent/ttrpc';
import type { Caller } from '../listeners/caller.js';

/** The parts of a request that are recorded. Each member is there only in the messages that have it. */
interface Recorded extends Message {
  readonly containerId?: string;
  readonly execId?: string;
  readonly process?: { readonly Args: readonly string[] };
  readonly OCI?: { readonly Process?: { readonly Args: readonly string[] } };
}

/** A call as the record has it. With `folded`, calls about the same process are counted together; with `repeatable`, equal ones. */
export function auditedCall(
  request: Recorded,
  { method, payload, connection }: HandlerContext<Caller>,
  {
    folded = false,
    urgent = false,
    repeatable = false,
  }: { readonly folded?: boolean; readonly urgent?: boolean; readonly repeatable?: boolean } = {},
): AuditedCall {
  const subject = subjectOf(request);
  const { listener, peer } = connection;
  const call = { listener, peer, method, payload };
  const fold = folded ? { fold: `${method} ${subject?.containerId ?? ''}/${subject?.execId ?? ''}` } : {};
  return {
    ...call,
    ...fold,
    ...(urgent && { urgent }),
    ...(repeatable && { repeatable }),
    ...(subject === undefined ? {} : { subject }),
  };
}

/** What a call is about. Of a program only its name: arguments and environment may be secret (S18). */
function subjectOf(request: Recorded): Subject | undefined {
  if (request.containerId === undefined) return undefined;
  const argv0 = request.process?.Args[0] ?? request.OCI?.Process?.Args[0];
  return {
    containerId: request.containerId,
    ...(request.execId === undefined ? {} : { execId: request.execId }),
    ...(argv0 === undefined ? {} : { argv0 }),
  };
}
