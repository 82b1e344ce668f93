import type { Clock } from './clock.js';

/** Reports that a log is silent, once for each time that passes without a new record. */
export class Heartbeat {
  #cancel: () => void;

  /** `sequence` returns the number of the last record; `beat` adds one. */
  constructor(clock: Clock, everyMs: number, sequence: () => number, beat: () => void) {
    const later = (last: number): (() => void) =>
      clock.after(everyMs, () => {
        const now = sequence();
        const isSilent = now <= last;
        if (isSilent) beat();
        // The heartbeat itself will be the next record.
        this.#cancel = later(isSilent ? now + 1 : now);
      });
    this.#cancel = later(sequence());
  }

  stop(): void {
    this.#cancel();
  }
}
