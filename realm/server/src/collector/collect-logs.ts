import { StoreSpace } from '../store/store-space.js';
import { type CollectedAgent, type Collected, Collector, type CollectorOptions } from './collector.js';
import { openSink, type OpenSinkOptions } from './sinks/open-sink.js';
import type { SinkEvent } from './sinks/sink.js';

/** For what waits for the receiver when the collectors end. */
const graceMs = 4_000;

export interface CollectLogsOptions extends Omit<CollectorOptions, 'sink'> {
  /** Limit of bytes of all logs in a directory, in equal shares of the agents; of another receiver: of each agent. */
  readonly maxBytes: number;
  /** Of different names. */
  readonly agents: readonly CollectedAgent[];
  readonly sink: Omit<OpenSinkOptions, 'onEvent' | 'signal' | 'maxBytes'>;
  readonly onSinkEvent: (event: SinkEvent) => void;
}

/**
 * Collects the audit logs of agents into a sink until the signal aborts: each verified as it comes, and from where the sink has it.
 * An agent that fails does not stop the others. Ends by itself if nothing more can be collected of any. Throws a StoreError, a
 * BusError, or the system's error if the sink cannot be used at first.
 */
export async function collectLogs(options: CollectLogsOptions): Promise<readonly Collected[]> {
  const { agents, onSinkEvent, signal, maxBytes } = options;
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  // The collectors wait for a last checkpoint and its records first.
  const stop = (): void => {
    timer = setTimeout(() => over.abort(), graceMs);
  };
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const onEvent = onSinkEvent;
    const sink = await openSink({ ...options.sink, onEvent, signal: over.signal, maxBytes });
    try {
      // One that sends without end would leave no space for what others have to record.
      const room = maxBytes - StoreSpace.of(agents.length, 0);
      const share = options.sink.to.kind === 'directory' ? Math.floor(room / agents.length) : maxBytes;
      const each = { ...options, sink, maxBytes: share };
      return await Promise.all(agents.map((agent) => new Collector(agent, each).run()));
    } finally {
      await sink.close();
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
