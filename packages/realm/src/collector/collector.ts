import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@kata-agent/ttrpc';
import { collect } from '../store/collect.js';
import type { CollectedLog } from '../store/collected-log.js';
import { GuestLogs } from '../store/guest-logs.js';
import { openLogDirectory } from '../store/log-directory.js';
import type { LogFault } from '../store/log-note.js';
import { takeStoreDirectory, type TryLock } from '../store/store-directory.js';
import type { CollectorEvent } from './collector-event.js';
import { Silence } from './silence.js';

/** Between attempts to connect, in ms: doubled from the first to the last. */
const firstRetryMs = 500;
const lastRetryMs = 30_000;
/** As long as a connection must last for the next attempt to follow soon. */
const steadyMs = 60_000;
const spaceEveryMs = 5_000;
const reading = { bytesPerSecond: 64 * 1024 * 1024, overlapMs: 30_000, retryMs: 1_000 };

export interface CollectorOptions {
  /** One process uses it at a time; it has the logs of each agent that was collected into it. */
  readonly directory: string;
  readonly tryLock: TryLock;
  /** Names the agent in the directory, also when its address changes. */
  readonly name: string;
  /** Connects to the agent. Rejects if it cannot be reached. */
  readonly connect: () => Promise<Duplex>;
  /** Limit of bytes of all logs in the directory. */
  readonly maxBytes: number;
  /** After so many ms without a record the agent counts as silent. */
  readonly silenceMs: number;
  readonly onEvent: (event: CollectorEvent) => void;
  readonly signal: AbortSignal;
}

/** What a collector has stored when it ends. */
export interface Collected {
  readonly log: CollectedLog;
  /** The file that was written last; undefined: no record has come. */
  readonly path: string | undefined;
}

/**
 * Collects the audit log of an agent into a directory until the signal aborts: each record once and unchanged, whoever of the
 * two ends and starts again; verified as it comes. Ends by itself if nothing more can be collected: the state of the log says
 * why. Throws a StoreError, or the system's error if the directory cannot be used at first.
 */
export async function collectLog(options: CollectorOptions): Promise<Collected> {
  const { directory, tryLock, maxBytes, onEvent } = options;
  const lock = await takeStoreDirectory(directory, tryLock);
  try {
    const onChange = (why: string | undefined): void => {
      if (why !== undefined) onEvent({ kind: 'not-stored', why });
    };
    const { storage } = await openLogDirectory(directory, { max: maxBytes, everyMs: spaceEveryMs, onChange });
    return await new Collector(options, storage).run();
  } finally {
    await lock.close();
  }
}

class Collector {
  readonly #options: CollectorOptions;
  readonly #logs: GuestLogs;
  readonly #silence: Silence;
  /** Faults that were told: an agent can connect again and again with the same one. */
  readonly #told = new Set<string>();

  constructor(
    options: CollectorOptions,
    storage: (id: string) => ConstructorParameters<typeof GuestLogs>[1]['storage'],
  ) {
    const { name, maxBytes, silenceMs, onEvent } = options;
    const id = createHash('sha256').update(name).digest('hex');
    this.#options = options;
    this.#silence = new Silence(silenceMs, (isSilent) =>
      onEvent(isSilent ? { kind: 'silent', ms: silenceMs } : { kind: 'heard' }),
    );
    this.#logs = new GuestLogs(id, {
      storage: storage(id),
      maxBytes,
      onFault: (_id, fault) => this.#tell(fault),
      onWritten: () => this.#silence.heard(),
      onBoot: (sequence) => onEvent({ kind: 'boot', sequence }),
    });
  }

  async run(): Promise<Collected> {
    const { signal, onEvent } = this.#options;
    let retryMs = firstRetryMs;
    try {
      await this.#logs.load();
      while (!signal.aborted) {
        const begin = performance.now();
        const why = await this.#connectAndCollect().catch((error: Error) => error.message);
        if (signal.aborted || this.#isOver()) break;
        retryMs = performance.now() - begin > steadyMs ? firstRetryMs : Math.min(2 * retryMs, lastRetryMs);
        onEvent({ kind: 'disconnected', why, retryMs });
        await sleep(retryMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
      }
      return { log: this.#logs.log, path: this.#logs.path };
    } finally {
      this.#silence.stop();
      await this.#logs.close();
    }
  }

  /** Resolves with the reason when the connection has ended, or nothing more is to be collected in it. */
  async #connectAndCollect(): Promise<string> {
    const { signal, onEvent } = this.#options;
    const socket = await this.#options.connect();
    const over = new AbortController();
    const stop = (): void => over.abort();
    signal.addEventListener('abort', stop, { once: true });
    const channel = connect(socket);
    void channel.closed.then(stop);
    const onFailure = ({ message: why }: Error): void => onEvent({ kind: 'not-stored', why });
    try {
      onEvent({ kind: 'connected', from: this.#logs.log.lastSequence + 1 });
      await collect(channel, this.#logs, { ...reading, onFailure }, over.signal);
      return over.signal.aborted ? 'the connection was closed' : 'its log cannot be continued';
    } finally {
      signal.removeEventListener('abort', stop);
      channel.close();
      await this.#logs.close();
    }
  }

  #isOver(): boolean {
    return ['not-served', 'full'].includes(this.#logs.log.state);
  }

  #tell(fault: LogFault): void {
    const key = `${fault.kind} ${fault.sequence} ${fault.sha256 ?? ''}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    this.#options.onEvent({ kind: 'fault', fault });
  }
}
