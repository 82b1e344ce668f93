import type { Decision } from '@kata-agent/gate';
import { type ContextKey, contextKey, type HandlerContext } from '@kata-agent/ttrpc';
import type { Caller } from '../caller/caller.js';
import { healthService } from './service-names.js';

/** The decision about a call: set by the rules, read by the audit log. */
export const decisionKey: ContextKey<Decision> = contextKey<Decision>('decision');

/** Throws if there is no decision: the call must not continue. */
export function decisionOf({ service, method, connection, values }: HandlerContext<Caller>): Decision {
  const decision = values.get(decisionKey);
  if (decision !== undefined) return decision;
  if (service !== healthService) throw new Error(`${method}: this call has no decision`);
  return { outcome: 'allow', method, listener: connection.listener, reason: 'Health is always served' };
}
