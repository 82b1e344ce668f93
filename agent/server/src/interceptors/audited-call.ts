import { isMessage, type Message } from '@bufbuild/protobuf';
import type { AuditedCall, Subject } from '@kata-agent/audit';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import { type RevokePeerRequest, RevokePeerRequestSchema } from '@kata-agent/protocol/management';
import { factsOf, type PrivilegeAccess, summaryOf } from '@kata-agent/gate';
import type { HandlerContext } from '@kata-agent/ttrpc';
import { type Caller, callerOf } from '../caller.js';

const nothing = {};

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

/** Recorded facts of a request besides its subject. */
export type RecordOf = (method: string, request: Message) => Pick<AuditedCall, 'request' | 'facts'>;

/**
 * Returns the names in a request that changes something, and with `wanted` (`[audit] facts`) the facts of any request.
 */
export function recordOfRequest(wanted: boolean, access: PrivilegeAccess): RecordOf {
  return (method, message) => {
    if (isMessage(message, RevokePeerRequestSchema)) return { request: { revoked: revokedText(message) } };
    if (!isMethodName(method)) return nothing;
    const { changes, fold } = endpoints[method];
    const request =
      changes && (fold === undefined || fold === 'repeat') ? present(summaryOf(message, access)) : undefined;
    const facts = wanted ? present(factsOf(method, message)) : undefined;
    if (request === undefined && facts === undefined) return nothing;
    return { ...(request !== undefined && { request }), ...(facts !== undefined && { facts }) };
  };
}

function revokedText({ peer, serial, issuer }: RevokePeerRequest): string {
  return peer === '' ? `serial ${serial} of ${issuer}` : peer;
}

function present<T extends object>(facts: T): T | undefined {
  return Object.keys(facts).length === 0 ? undefined : facts;
}
