import type { CallInfo } from '@kata-agent/ttrpc';
import type { Caller } from '../caller/caller.js';
import { callerKey } from '../caller/caller-key.js';
import { callerOf } from '../caller/caller-of.js';

/**
 * Returns by whom places of the guest are counted that several callers share; undefined: Kata's runtime, which calls at the first
 * listener and without TLS, shares them with nobody.
 */
export function sharingCaller(
  call: Pick<CallInfo<Caller>, 'connection' | 'metadata'>,
  runtimeListener: string | undefined,
): string | undefined {
  const caller = callerOf(call);
  const { listener, identity } = caller;
  if (listener === runtimeListener && identity.kind !== 'tls') return undefined;
  // A server whose relay is trusted calls for many.
  return JSON.stringify([listener, callerKey(caller), identity.claimedOperator ?? '']);
}
