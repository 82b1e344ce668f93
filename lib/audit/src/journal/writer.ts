import { AuditUnavailable } from '../audit-log.js';
import type { Clock } from '../clock.js';
import type { Entry, Journal } from './journal.js';
import type { RecordBody } from '../record/record.js';

/** How long records without a waiter are gathered, in ms. */
const gatherMs = 2;
/** Delay in ms after which a failed write is retried, unless a caller triggers it earlier. */
const retryMs = 1000;
const batchRecords = 512;
/** Records without a waiter beyond this number are counted as lost; outcomes are not, since each has its intent. */
const queueRecords = 16_384;

interface Waiting extends Entry {
  readonly settle?: { resolve(sequence: number): void; reject(error: Error): void };
}

/**
 * The queue in front of the journal. Concurrent callers share one write and one fdatasync; records that arrive
 * meanwhile form the next batch.
 */
export class Writer {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #file: string;
  readonly #onWritten: () => void;
  #queue: Waiting[] = [];
  #waiting = 0;
  #scheduled: 'no' | 'later' | 'soon' = 'no';
  #cancelTimer: () => void = () => undefined;
  #draining: Promise<void> | undefined;
  #failure: AuditUnavailable | undefined;
  #lost = 0;
  #lostBecause = '';

  /** `onWritten` is called after each batch. */
  constructor(
    journal: Journal,
    options: { readonly file: string; readonly clock: Clock; readonly onWritten?: () => void },
  ) {
    this.#journal = journal;
    this.#onWritten = options.onWritten ?? (() => undefined);
    this.#clock = options.clock;
    this.#file = options.file;
  }

  get failure(): AuditUnavailable | undefined {
    return this.#failure;
  }

  /** Queues a record without waiting for it. */
  add(body: RecordBody, urgent = false): void {
    if (this.#queue.length >= queueRecords && body.kind !== 'outcome') {
      this.#lose(1, 'records came faster than they could be written');
      return;
    }
    this.#queue.push(this.#entry(body, false, urgent));
    this.#schedule(this.#failure === undefined || urgent ? gatherMs : retryMs);
  }

  /**
   * Resolves to the record's sequence number once it is durable; without a body, once all earlier records are durable.
   */
  addDurable(body: RecordBody | undefined, urgent = false): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...this.#entry(body, true, urgent), settle: { resolve, reject } });
      this.#waiting += 1;
      this.#scheduleSoon();
    });
  }

  /** For the exit of the process: writes queued records synchronously, unless a write is in progress. */
  writeNow(): void {
    if (this.#draining !== undefined || this.#queue.length === 0) return;
    const rest = this.#withLost(this.#queue.splice(0));
    try {
      this.#journal.commitNow(rest);
    } catch (error) {
      this.#fail(rest, error as NodeJS.ErrnoException);
    }
  }

  /** Resolves when writing has stopped for good. */
  async stop(): Promise<void> {
    await this.#draining;
    this.#cancelTimer();
  }

  #entry(body: RecordBody | undefined, durable: boolean, urgent = false): Entry {
    return { body, durable, urgent, monotonic: this.#clock.monotonic(), wall: this.#clock.wall() };
  }

  #schedule(ms: number): void {
    if (this.#scheduled !== 'no' || this.#draining !== undefined) return;
    this.#scheduled = 'later';
    this.#cancelTimer = this.#clock.after(ms, () => this.#start());
  }

  /** Runs after the callbacks of this turn of the event loop, so that intents of all connections share a batch. */
  #scheduleSoon(): void {
    if (this.#scheduled === 'soon' || this.#draining !== undefined) return;
    this.#cancelTimer();
    this.#scheduled = 'soon';
    setImmediate(() => this.#start());
  }

  #start(): void {
    this.#scheduled = 'no';
    this.#draining ??= this.#drain();
  }

  async #drain(): Promise<void> {
    do await this.#writeBatch(this.#queue.splice(0, batchRecords));
    while (this.#waiting > 0 || (this.#failure === undefined && this.#unwritten));
    this.#draining = undefined;
    if (this.#failure !== undefined || this.#unwritten) this.#schedule(retryMs);
  }

  get #unwritten(): boolean {
    return this.#queue.length > 0 || this.#lost > 0;
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    let rest = this.#withLost(batch);
    try {
      while (rest.length > 0) {
        const count = await this.#journal.commit(rest);
        this.#failure = undefined;
        this.#settle(rest.slice(0, count));
        this.#onWritten();
        rest = rest.slice(count);
      }
    } catch (error) {
      const cause = error as NodeJS.ErrnoException;
      this.#fail(
        rest.filter(({ urgent }) => urgent !== true),
        cause,
      );
      await this.#writeUrgent(
        rest.filter(({ urgent }) => urgent === true),
        cause,
      );
    }
  }

  /** Writes urgent records even when the rest failed: the log counts as unwritable all the same. */
  async #writeUrgent(entries: readonly Waiting[], cause: NodeJS.ErrnoException): Promise<void> {
    if (entries.length === 0) return;
    try {
      await this.#journal.commitUrgent(entries);
      this.#settle(entries);
      this.#onWritten();
    } catch {
      // Reports the first failure, because it is the one with a remedy.
      this.#fail(entries, cause);
    }
  }

  /** Prepends a record of lost ones. After a failure there is always something to write, as a probe. */
  #withLost(batch: readonly Waiting[]): readonly Waiting[] {
    if (this.#lost > 0) {
      const body: RecordBody = { kind: 'lost', count: this.#lost, failure: this.#lostBecause };
      return [this.#entry(body, false), ...batch];
    }
    return batch.length === 0 && this.#failure !== undefined ? [this.#entry(undefined, true)] : batch;
  }

  #settle(written: readonly Waiting[]): void {
    let sequence = this.#journal.head.sequence - written.filter(({ body }) => body !== undefined).length;
    for (const { body, settle } of written) {
      if (body !== undefined) sequence += 1;
      if (body?.kind === 'lost') this.#lost -= body.count;
      if (settle === undefined) continue;
      this.#waiting -= 1;
      settle.resolve(sequence);
    }
  }

  #fail(entries: readonly Waiting[], cause: NodeJS.ErrnoException): void {
    const remedy =
      cause.code === 'ENOSPC'
        ? 'free space on its filesystem, or lower [audit] max_size and keep'
        : 'make it writable';
    const failure = new AuditUnavailable(`audit log ${this.#file}: ${cause.message}; ${remedy}`, { cause });
    this.#failure = failure;
    for (const { body, settle } of entries) {
      if (body !== undefined && body.kind !== 'lost') this.#lose(1, cause.message);
      if (settle === undefined) continue;
      this.#waiting -= 1;
      settle.reject(failure);
    }
  }

  #lose(count: number, because: string): void {
    this.#lost += count;
    this.#lostBecause = because;
  }
}
