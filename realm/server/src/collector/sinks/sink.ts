import type { LogStorage } from '../../store/log-storage.js';

/** Where a collector puts the logs of agents. */
export interface Sink {
  /** The logs of an agent; `id` is the SHA-256 of its name. */
  storage(id: string, agent: string): LogStorage;
  close(): Promise<void>;
}

/** What a sink tells: `agent` is undefined if it is about all. */
export type SinkEvent =
  /** Records cannot be stored or sent now; they are asked for again. */
  | { readonly kind: 'not-stored'; readonly why: string; readonly retryMs?: number }
  /** The receiver has refused records for good. They are in the file. */
  | {
      readonly kind: 'rejected';
      readonly agent: string;
      readonly count: number;
      readonly why: string;
      readonly path: string;
    }
  /** Records were sent again, since nobody knows which of them have arrived. */
  | { readonly kind: 'repeated'; readonly agent: string; readonly count: number };

/** What every sink is opened with. */
export interface SinkOptions {
  readonly onEvent: (event: SinkEvent) => void;
  /** Ends what waits for the receiver. */
  readonly signal: AbortSignal;
}
