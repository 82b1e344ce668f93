import type { Duplex } from 'node:stream';
import { createHash } from 'node:crypto';
import { Backoff } from '@kata-agent/base';
import { Management } from '@kata-agent/protocol/management';
import { connect, createClient } from '@kata-agent/ttrpc';
import { collect, collectFrom } from '../store/collect.js';
import type { CollectedLog, LogFault } from '../store/log-storage.js';
import { GuestLogs } from '../store/guest-logs.js';
import { rationed } from '../realm-log.js';
import { StoreSpace } from '../store/store-space.js';
import { Silence } from '../guests/silence-watch.js';
import { openSink, type OpenSinkOptions, type Sink, type SinkEvent } from './sinks/open-sink.js';
import { type AskRealm, StoredRecords } from './stored-records.js';
import { type AgreedCheckpoint, type CheckpointOptions, CheckpointWatch } from './checkpoint-watch.js';
import { TreeLogs } from './collected-tree.js';

/** For what waits for the receiver when the collectors end. */
const graceMs = 4_000;

/** Between attempts to connect. */
const retries = { firstMs: 1_000, lastMs: 30_000 };
/** As long as a connection must last for the next attempt to follow soon. */
const steadyMs = 60_000;
const reading = {
  bytesPerSecond: 64 * 1024 * 1024,
  overlapMs: 30_000,
  retryMs: 1_000,
  aheadBytes: 256 * 1024,
};

/** Faults and boots of one agent that are logged. */
const alerts = { burst: 100, perSecond: 1 / 10, remembered: 256 };

export interface CollectedAgent {
  /** Names the agent in the sink, also when its address changes. */
  readonly name: string;
  readonly source: RecordSource;
}

/** Where the records of an agent come from. */
type RecordSource =
  | {
      readonly kind: 'agent';
      /** Connects to the agent. Rejects if it cannot be reached. */
      readonly connect: () => Promise<Duplex>;
    }
  | { readonly kind: 'realm'; readonly ask: AskRealm };

interface CollectorOptions {
  readonly sink: Sink;
  /** Limit of bytes of the logs of one agent. */
  readonly maxBytes: number;
  /** After so many ms without a record an agent counts as silent. */
  readonly silenceMs: number;
  /** Undefined: agents are not asked for checkpoints. */
  readonly checkpoints: CheckpointOptions | undefined;
  readonly onEvent: (agent: string, event: CollectorEvent) => void;
  readonly signal: AbortSignal;
}

/** What was collected of an agent when its collector ends. */
export interface Collected {
  readonly name: string;
  readonly log: CollectedLog;
  /** The file or subject that was written last; undefined: no record has come. */
  readonly path: string | undefined;
  /** Why what is stored could not be read at the last attempt, so that nothing was collected; undefined: it could. */
  readonly unusable: Error | undefined;
}

/** Collects the audit log of one agent, until the signal aborts or nothing more can be collected. */
class Collector {
  readonly #agent: CollectedAgent;
  readonly #options: CollectorOptions;
  readonly #logs: GuestLogs;
  readonly #tree: TreeLogs;
  readonly #silence: Silence;
  #checkpoints: CheckpointWatch | undefined;
  #isLoaded = false;
  #unusable: Error | undefined;
  #stored: StoredRecords | undefined;
  /** Faults that were told last: an agent can connect again and again with the same one. */
  readonly #told = new Set<string>();
  /** An agent can have ever new faults and boots. */
  readonly #mayTell = rationed(alerts.burst, alerts.perSecond);

  constructor(agent: CollectedAgent, options: CollectorOptions) {
    const { sink, maxBytes, silenceMs } = options;
    const id = createHash('sha256').update(agent.name).digest('hex');
    this.#agent = agent;
    this.#options = options;
    this.#silence = new Silence(silenceMs, (isSilent) =>
      this.#tell(isSilent ? { kind: 'silent', ms: silenceMs } : { kind: 'heard' }),
    );
    this.#logs = new GuestLogs(id, {
      storage: sink.storage(id, agent.name),
      maxBytes,
      onFault: (_id, fault) => this.#tellFault(fault),
      onWritten: () => this.#silence.heard(),
      onRecord: (record, line) => this.#tree.add(record, line),
      onBoot: (sequence) => this.#tellRarely({ kind: 'boot', sequence }),
    });
    this.#tree = new TreeLogs(this.#logs, async () => this.#checkpoints?.compare());
  }

  /** Resolves when the collector ends: the state of the log says why. */
  async run(): Promise<Collected> {
    const { signal } = this.#options;
    const { name } = this.#agent;
    const backoff = new Backoff(retries);
    try {
      while (!signal.aborted) {
        const begin = performance.now();
        const why = await this.#collectOnce().catch((error: Error) => error.message);
        if (signal.aborted || this.#isOver()) {
          if (this.#logs.isFull) this.#tell({ kind: 'full', maxBytes: this.#options.maxBytes });
          break;
        }
        if (performance.now() - begin > steadyMs) backoff.succeeded();
        this.#tell({ kind: 'disconnected', why, retryMs: backoff.failed() });
        await backoff.wait(signal).catch(() => undefined);
      }
      return { name, log: this.#logs.log, path: this.#logs.path, unusable: this.#unusable };
    } finally {
      this.#silence.stop();
      await this.#logs.close().catch(() => undefined);
    }
  }

  /** Resolves with the reason when the source has ended, or nothing more is to be collected from it now. */
  async #collectOnce(): Promise<string> {
    await this.#load();
    const { source } = this.#agent;
    return await (source.kind === 'agent'
      ? this.#connectAndCollect(source.connect)
      : this.#collectStored(source.ask));
  }

  /** From a realm that has stored the log: it has no checkpoints. */
  async #collectStored(ask: AskRealm): Promise<string> {
    const { signal, silenceMs } = this.#options;
    this.#stored ??= new StoredRecords({
      ask,
      // Twice before the agent counts as silent.
      idleMs: silenceMs / 3,
      onAnswer: (from) => this.#tell({ kind: 'connected', from }),
      onOtherGuest: () => this.#logs.expectOtherLog(),
    });
    const onFailure = ({ message: why }: Error): void => this.#tell({ kind: 'not-stored', why });
    try {
      const stored = this.#stored.read(signal);
      await collectFrom(stored.watch, this.#logs, { ...reading, onFailure }, stored.signal);
      return stored.why ?? 'its log cannot be continued';
    } finally {
      await this.#logs.close();
    }
  }

  async #connectAndCollect(connectAgent: () => Promise<Duplex>): Promise<string> {
    const { signal } = this.#options;
    const socket = await unlessAborted(connectAgent(), signal);
    const over = new AbortController();
    const stop = (): void => over.abort();
    const finish = (): void => void (this.#checkpoints?.finish() ?? Promise.resolve()).finally(stop);
    const channel = connect(socket);
    void channel.closed.then(stop);
    const onFailure = ({ message: why }: Error): void => {
      if (!signal.aborted) this.#tell({ kind: 'not-stored', why });
    };
    try {
      this.#tell({ kind: 'connected', from: this.#logs.log.lastSequence + 1 });
      const watch = await this.#watchCheckpoints(createClient(Management, channel), over.signal);
      this.#checkpoints = watch;
      if (signal.aborted) finish();
      else signal.addEventListener('abort', finish, { once: true });
      const logs = watch === undefined ? this.#logs : this.#tree;
      await collect(channel, logs, { ...reading, ending: signal, onFailure }, over.signal);
      await this.#tree.save().catch(onFailure);
      return over.signal.aborted ? 'the connection was closed' : 'its log cannot be continued';
    } finally {
      signal.removeEventListener('abort', finish);
      this.#checkpoints?.stop();
      this.#checkpoints = undefined;
      channel.close();
      await this.#logs.close();
    }
  }

  /** Asks for the first checkpoint before any record, so that it is known whether the tree is needed. */
  async #watchCheckpoints(
    management: ReturnType<typeof createClient<typeof Management>>,
    signal: AbortSignal,
  ): Promise<CheckpointWatch | undefined> {
    const { checkpoints } = this.#options;
    if (checkpoints === undefined) return undefined;
    const watch = new CheckpointWatch({
      ...checkpoints,
      management,
      logs: this.#logs,
      tree: this.#tree,
      onAgreed: (agreed) => this.#tell({ kind: 'checkpoint', agreed }),
      signal,
    });
    if (await watch.start()) return watch;
    watch.stop();
    return undefined;
  }

  /** Reads the position, and says who the agent is beside it. */
  async #load(): Promise<void> {
    if (this.#isLoaded) return;
    try {
      await this.#loadStored();
      this.#unusable = undefined;
    } catch (error) {
      this.#unusable = error as Error;
      this.#tell({ kind: 'not-stored', why: this.#unusable.message });
      throw error;
    }
  }

  async #loadStored(): Promise<void> {
    await this.#logs.load();
    const { name } = this.#agent;
    await this.#logs.describe({
      id: this.#logs.id,
      name,
      entry: '',
      from: '',
      connectedAt: new Date().toISOString(),
    });
    this.#isLoaded = true;
  }

  #isOver(): boolean {
    return ['not-served', 'full'].includes(this.#logs.log.state);
  }

  #tellFault(fault: LogFault): void {
    const key = `${fault.kind} ${fault.sequence} ${fault.sha256 ?? ''}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    const [oldest] = this.#told;
    if (this.#told.size > alerts.remembered && oldest !== undefined) this.#told.delete(oldest);
    this.#tellRarely({ kind: 'fault', fault });
  }

  #tellRarely(
    event:
      | { readonly kind: 'fault'; readonly fault: LogFault }
      | { readonly kind: 'boot'; readonly sequence: number },
  ): void {
    const omitted = this.#mayTell();
    if (omitted !== undefined) this.#tell({ ...event, omitted });
  }

  #tell(event: CollectorEvent): void {
    this.#options.onEvent(this.#agent.name, event);
  }
}

/** Rejects when the signal aborts; a connection that is made later is closed. */
async function unlessAborted(connecting: Promise<Duplex>, signal: AbortSignal): Promise<Duplex> {
  let leave: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    leave = () => {
      connecting.then(
        (socket) => socket.destroy(),
        () => undefined,
      );
      reject(new Error('the collector ends'));
    };
  });
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([connecting, aborted]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

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
