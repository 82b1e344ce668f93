import type { Clock } from './clock.js';

/** Reports that a log is silent: each time that so much time has passed since its last record. */
export class Heartbeat {
  readonly #clock: Clock;
  readonly #everyNs: bigint;
  readonly #sequence: () => number;
  readonly #beat: () => void;
  #last: number;
  #since: bigint;
  #cancel: () => void;

  /** `sequence` returns the number of the last record; `beat` adds one. */
  constructor(clock: Clock, everyMs: number, sequence: () => number, beat: () => void) {
    this.#clock = clock;
    this.#everyNs = BigInt(everyMs) * 1_000_000n;
    this.#sequence = sequence;
    this.#beat = beat;
    this.#last = sequence();
    this.#since = clock.monotonic();
    this.#cancel = this.#later();
  }

  /** Called after each write; there are some without a record. */
  written(): void {
    const last = this.#sequence();
    if (last === this.#last) return;
    this.#last = last;
    this.#since = this.#clock.monotonic();
  }

  stop(): void {
    this.#cancel();
  }

  #later(): () => void {
    const left = this.#since + this.#everyNs - this.#clock.monotonic();
    return this.#clock.after(Math.max(1, Math.ceil(Number(left) / 1e6)), () => {
      const now = this.#clock.monotonic();
      if (now - this.#since >= this.#everyNs) {
        this.#beat();
        // The heartbeat is the next record, unless it cannot be written: then there is another one after the same time.
        this.#since = now;
      }
      this.#cancel = this.#later();
    });
  }
}
