import { type ContextKey, contextKey } from '@kata-agent/ttrpc';

/** The number of a workload's bytes in a reply that is not decoded; set by the forwarder, recorded with the result. */
export const movedBytesKey: ContextKey<number> = contextKey<number>('moved bytes');
