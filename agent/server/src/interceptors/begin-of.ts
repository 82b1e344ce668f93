import { type ContextKey, contextKey, type HandlerContext } from '@kata-agent/ttrpc';
import type { Caller } from '../caller/caller.js';

/** Resolves once a call's intent is on disk; the call may change something only after that (S19). */
export type Begin = () => Promise<void>;

/** Set by the interceptor that records, used by the handlers. */
export const beginKey: ContextKey<Begin> = contextKey<Begin>('begin');

/** Throws if the call is not recorded: it must not change anything. */
export function beginOf({ method, values }: HandlerContext<Caller>): Begin {
  const begin = values.get(beginKey);
  if (begin === undefined) throw new Error(`${method}: this call is not recorded`);
  return begin;
}
