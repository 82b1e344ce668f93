import type { CallInfo } from '@kata-agent/ttrpc';
import type { Caller } from '../caller/caller.js';
import { callerKey } from '../caller/caller-key.js';
import { callerOf } from '../caller/caller-of.js';

/**
 * Returns the key by which slots that several callers share are counted. Undefined for Kata's runtime, which calls on the first
 * listener without TLS: it does not share them.
 */
export function sharingCaller(
  call: Pick<CallInfo<Caller>, 'connection' | 'metadata'>,
  runtimeListener: string | undefined,
): string | undefined {
  const caller = callerOf(call);
  const { listener, identity } = caller;
  if (listener === runtimeListener && identity.kind !== 'tls') return undefined;
  // A server whose relay is trusted calls for many operators.
  return JSON.stringify([listener, callerKey(caller), identity.claimedOperator ?? '']);
}
