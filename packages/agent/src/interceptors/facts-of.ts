import type { Message } from '@bufbuild/protobuf';
import type { AuditedCall } from '@kata-agent/audit';
import { endpoints, isMethodName } from '@kata-agent/catalogue';
import { factsOf, type PrivilegeAccess, summaryOf } from '@kata-agent/gate';

/** What is recorded of a request beside its subject. */
export type FactsOf = (method: string, request: Message) => Pick<AuditedCall, 'request' | 'facts'>;

const nothing = {};

/** The names in a request that changes something; and the facts of any request when `[audit] facts` asks for them (`wanted`). */
export function recordedFacts(wanted: boolean, access: PrivilegeAccess): FactsOf {
  return (method, message) => {
    if (!isMethodName(method)) return nothing;
    const { changes, fold } = endpoints[method];
    const request =
      changes && (fold === undefined || fold === 'repeat') ? present(summaryOf(message, access)) : undefined;
    const facts = wanted ? present(factsOf(method, message)) : undefined;
    if (request === undefined && facts === undefined) return nothing;
    return { ...(request !== undefined && { request }), ...(facts !== undefined && { facts }) };
  };
}

function present<T extends object>(facts: T): T | undefined {
  return Object.keys(facts).length === 0 ? undefined : facts;
}
