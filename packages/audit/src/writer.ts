import { AuditUnavailable } from './audit-unavailable.js';
import type { Clock } from './clock.js';
import type { Entry, Journal } from './journal.js';
import type { RecordBody } from './record.js';

/** How long records that nobody waits for may gather, in ms. */
const gatherMs = 2;
/** How long after a failed write the next one is tried, if nobody asks for it before, in ms. */
const retryMs = 1000;
const batchRecords = 512;
/** Beyond this, records that nobody waits for are counted as lost. Outcomes are not: each has its intent. */
const queueRecords = 16_384;

interface Waiting extends Entry {
  readonly settle?: { resolve(sequence: number): void; reject(error: Error): void };
}

/**
 * The queue before the journal. Whoever waits at the same time shares one write and one fdatasync; what arrives
 * meanwhile is the next batch.
 */
export class Writer {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #file: string;
  #queue: Waiting[] = [];
  #waiting = 0;
  #scheduled: 'no' | 'later' | 'soon' = 'no';
  #cancelTimer: () => void = () => undefined;
  #draining: Promise<void> | undefined;
  #failure: AuditUnavailable | undefined;
  #lost = 0;
  #lostBecause = '';

  constructor(journal: Journal, options: { readonly file: string; readonly clock: Clock }) {
    this.#journal = journal;
    this.#clock = options.clock;
    this.#file = options.file;
  }

  get failure(): AuditUnavailable | undefined {
    return this.#failure;
  }

  /** Queues a record that nobody waits for. */
  add(body: RecordBody, urgent = false): void {
    if (this.#queue.length >= queueRecords && body.kind !== 'outcome') {
      this.#lose(1, 'records came faster than they could be written');
      return;
    }
    this.#queue.push(this.#entry(body, false, urgent));
    this.#schedule(this.#failure === undefined || urgent ? gatherMs : retryMs);
  }

  /** Resolves to the record's sequence number once it is durable. Without a body: once all before is durable. */
  addDurable(body: RecordBody | undefined, urgent = false): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...this.#entry(body, true, urgent), settle: { resolve, reject } });
      this.#waiting += 1;
      this.#scheduleSoon();
    });
  }

  /** For the end of the process: writes what is queued without waiting, unless a write is under way. */
  writeNow(): void {
    if (this.#draining !== undefined || this.#queue.length === 0) return;
    const rest = this.#withLost(this.#queue.splice(0));
    try {
      this.#journal.commitNow(rest);
    } catch (error) {
      this.#fail(rest, error as NodeJS.ErrnoException);
    }
  }

  /** Resolves when nothing is being written, and nothing more will be. */
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

  /** After the callbacks of this turn of the event loop, so that the intents of all connections share it. */
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

  /** What ends something goes on where the rest has failed: by then the log counts as not writable all the same. */
  async #writeUrgent(entries: readonly Waiting[], cause: NodeJS.ErrnoException): Promise<void> {
    if (entries.length === 0) return;
    try {
      await this.#journal.commitUrgent(entries);
      this.#settle(entries);
    } catch {
      // The first failure is the one that has a remedy.
      this.#fail(entries, cause);
    }
  }

  /** Tells first what is missing. After a failure there is always something to write, if only to see if it works. */
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
        ? 'free space on its file system, or lower [audit] max_size and keep'
        : 'see that it can be written';
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
