import type { WatchRecords } from '../store/collect.js';

/** A realm's answer to a request for the records of a guest: what it has stored from a number on, then what comes. */
interface RealmRecords {
  /** The ID of the guest that the realm means; undefined: the realm does not say it. */
  readonly guest: string | undefined;
  readonly records: AsyncIterable<readonly Uint8Array[]>;
}

/** Asks a realm for the records of a guest from a sequence number on. Rejects if the realm refuses or cannot be reached. */
export type AskRealm = (from: number, signal: AbortSignal) => Promise<RealmRecords>;

export interface StoredRecordsOptions {
  readonly ask: AskRealm;
  /** After so many ms without a record the realm is asked again: the name can be another guest's by now. */
  readonly idleMs: number;
  /** Is called when the realm answers for the first time in a reading. */
  readonly onAnswer: (from: number) => void;
  /** Is called when the name is another guest's than before: the log of that one begins with record 1. */
  readonly onOtherGuest: () => Promise<void>;
}

/** The records of one guest that a realm has stored. */
export class StoredRecords {
  readonly #options: StoredRecordsOptions;
  #guest: string | undefined;

  constructor(options: StoredRecordsOptions) {
    this.#options = options;
  }

  /** Begins a reading. It ends with the first request that fails, and with the signal. */
  read(signal: AbortSignal): StoredReading {
    return new StoredReading(this.#options, (guest) => this.#isOther(guest), signal);
  }

  /** Notes which guest the realm means; reports whether it was another one before. */
  #isOther(guest: string | undefined): boolean {
    if (guest === undefined) return false;
    const before = this.#guest;
    this.#guest = guest;
    return before !== undefined && before !== guest;
  }
}

/** One reading of a realm's records. */
class StoredReading {
  /** Aborts when the reading has ended. */
  readonly signal: AbortSignal;
  readonly #options: StoredRecordsOptions;
  readonly #isOther: (guest: string | undefined) => boolean;
  readonly #over = new AbortController();
  #hasAnswered = false;
  #why: string | undefined;

  constructor(
    options: StoredRecordsOptions,
    isOther: (guest: string | undefined) => boolean,
    signal: AbortSignal,
  ) {
    this.#options = options;
    this.#isOther = isOther;
    this.signal = AbortSignal.any([signal, this.#over.signal]);
  }

  /** Why the reading has ended; undefined: by the signal, or because nothing more is to be read. */
  get why(): string | undefined {
    return this.#why;
  }

  readonly watch: WatchRecords = (from, stop) => this.#watch(from, stop);

  async *#watch(from: number, stop: AbortSignal): ReturnType<WatchRecords> {
    const { ask, idleMs, onAnswer, onOtherGuest } = this.#options;
    const idle = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    try {
      const { guest, records } = await ask(from, AbortSignal.any([stop, this.signal, idle.signal]));
      if (!this.#hasAnswered) onAnswer(from);
      this.#hasAnswered = true;
      if (this.#isOther(guest)) {
        await onOtherGuest();
        return;
      }
      const waits = (): NodeJS.Timeout => setTimeout(() => idle.abort(), idleMs);
      // The record that is stored comes first, or the collector finds that it does not: that has its own time.
      if (from === 1) timer = waits();
      for await (const lines of records) {
        timer = timer?.refresh() ?? waits();
        yield { records: lines };
      }
      if (!idle.signal.aborted) this.#end('the realm has ended its answer');
    } catch (error) {
      // The collector has stopped this request, and asks again.
      if (stop.aborted) throw error;
      if (!idle.signal.aborted) this.#end((error as Error).message);
    } finally {
      clearTimeout(timer);
      // Closes the connection.
      idle.abort();
    }
  }

  #end(why: string): void {
    this.#why ??= why;
    this.#over.abort();
  }
}
