import type { Message } from '@bufbuild/protobuf';
import type { AuditedCall, Subject } from '@kata-agent/audit';
import type { HandlerContext } from '@kata-agent/ttrpc';
import type { Caller } from '../caller/caller.js';
import { callerOf } from '../caller/caller-of.js';

/** The recorded parts of a request. A message has only some of them. */
interface Recorded extends Message {
  readonly containerId?: string;
  readonly execId?: string;
  readonly process?: { readonly Args: readonly string[] };
  readonly OCI?: { readonly Process?: { readonly Args: readonly string[] } };
}

/**
 * Returns the audited form of a call. With `folded`, calls about the same process are counted together; with
 * `repeatable`, equal ones; with `continues`, those that continue one.
 */
export function auditedCall(
  request: Recorded,
  context: HandlerContext<Caller>,
  {
    folded = false,
    urgent = false,
    repeatable = false,
    continues,
  }: {
    readonly folded?: boolean;
    readonly urgent?: boolean;
    readonly repeatable?: boolean;
    readonly continues?: string | undefined;
  } = {},
): AuditedCall {
  const subject = subjectOf(request);
  const { method, payload } = context;
  const { listener, peer, identity } = callerOf(context);
  const { claimedOperator } = identity;
  const call = { listener, peer, claimedOperator, method, payload };
  const fold = folded ? { fold: `${method} ${subject?.containerId ?? ''}/${subject?.execId ?? ''}` } : {};
  return {
    ...call,
    ...fold,
    ...(urgent && { urgent }),
    ...((repeatable || continues !== undefined) && { repeatable: true }),
    ...(continues !== undefined && { continues }),
    ...(subject === undefined ? {} : { subject }),
  };
}

/**
 * Returns the subject of a call. Of a command only the program's name: arguments and environment can be secret (S18).
 */
function subjectOf(request: Recorded): Subject | undefined {
  if (request.containerId === undefined) return undefined;
  const argv0 = request.process?.Args[0] ?? request.OCI?.Process?.Args[0];
  return {
    containerId: request.containerId,
    ...(request.execId === undefined ? {} : { execId: request.execId }),
    ...(argv0 === undefined ? {} : { argv0 }),
  };
}
