import type { Message } from '@bufbuild/protobuf';
import type { AuditedCall } from '@kata-agent/audit';
import { isMethodName } from '@kata-agent/catalogue';
import { factsOf } from '@kata-agent/gate';

/** What is recorded of a request beside its subject. */
export type FactsOf = (method: string, request: Message) => Pick<AuditedCall, 'facts'>;

/** The facts of requests when `[audit] facts` asks for them, else nothing. */
export function recordedFacts(wanted: boolean): FactsOf {
  if (!wanted) return () => ({});
  return (method, request) => {
    if (!isMethodName(method)) return {};
    const facts = factsOf(method, request);
    return Object.keys(facts).length === 0 ? {} : { facts };
  };
}
