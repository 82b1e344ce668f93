import type { StreamRef } from '../request/actions.js';

/**
 * Handling of an output stream that no peer may read (R15): it is drained, so that the workload never blocks on a full pipe,
 * and discarded, or its last `bytes` are stored in `<state>/output/<container>-<exec>.<stream>`.
 */
export interface OutputPolicy {
  /** Reports whether any peer may read the stream; called whenever its buffer is full. The result may change between calls. */
  readonly readable: (stream: StreamRef) => boolean;
  readonly unreadable: 'discard' | { readonly bytes: number };
}
