import type { Metadata } from '@kata-agent/ttrpc';

/** The name of the operator, as the realm says it. Rules of the guest see it as `peer.claimed_operator`. */
const operatorKey = 'kata-agent-operator';

/** Kata's runtime sends the context of a trace with each call: https://www.w3.org/TR/trace-context/ and baggage. */
const passedOn = ['traceparent', 'tracestate', 'baggage'] as const;

/** The longest value that is passed on: what the specification of `baggage` requires. */
const longestValue = 8_192;

/** Returns the metadata of a call that the realm makes for an operator. Of the operator's own, only listed keys remain. */
export function relayedMetadata(metadata: Metadata, operator: string): Readonly<Record<string, string>> {
  const relayed: Record<string, string> = {};
  for (const key of passedOn) {
    const [value] = metadata.get(key) ?? [];
    if (value !== undefined && value.length <= longestValue) relayed[key] = value;
  }
  return { ...relayed, [operatorKey]: operator };
}
