import { isMessage, type Message } from '@bufbuild/protobuf';
import type { AuditedCall } from '@kata-agent/audit';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import { type RevokePeerRequest, RevokePeerRequestSchema } from '@kata-agent/protocol/management';
import { factsOf, type PrivilegeAccess, summaryOf } from '@kata-agent/gate';

/** Recorded facts of a request besides its subject. */
export type RecordOf = (method: string, request: Message) => Pick<AuditedCall, 'request' | 'facts'>;

const nothing = {};

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
