import type { LogFault } from '../store/log-note.js';
import type { AgreedCheckpoint } from './tree/checkpoint-watch.js';

/** What a collector tells its operator about an agent. */
export type CollectorEvent =
  /** The agent's log is read from the record `from` on. */
  | { readonly kind: 'connected'; readonly from: number }
  | { readonly kind: 'disconnected'; readonly why: string; readonly retryMs: number }
  /** `omitted`: how many faults and boots before it were not told, since there were so many. */
  | { readonly kind: 'fault'; readonly fault: LogFault; readonly omitted: number }
  /** The agent has started again: a record of a further boot. */
  | { readonly kind: 'boot'; readonly sequence: number; readonly omitted: number }
  /** Its logs have all the bytes that one agent can have: nothing more is stored. */
  | { readonly kind: 'full'; readonly maxBytes: number }
  /** No record has come for so long, though each agent writes heartbeats. */
  | { readonly kind: 'silent'; readonly ms: number }
  /** Records come again. */
  | { readonly kind: 'heard' }
  /** A checkpoint agrees with what was collected. */
  | { readonly kind: 'checkpoint'; readonly agreed: AgreedCheckpoint }
  /** What has come could not be stored; it is asked for again. */
  | { readonly kind: 'not-stored'; readonly why: string };
