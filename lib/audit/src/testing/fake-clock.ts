import type { Clock } from '../clock.js';

/** A clock that advances only by `pass`. */
export class FakeClock implements Clock {
  #ms = 1_700_000_000_000;
  readonly #timers = new Map<number, { readonly at: number; readonly run: () => void }>();
  #next = 1;

  monotonic(): bigint {
    return BigInt(this.#ms) * 1_000_000n;
  }

  wall(): number {
    return this.#ms;
  }

  after(ms: number, run: () => void): () => void {
    const id = this.#next;
    this.#next += 1;
    this.#timers.set(id, { at: this.#ms + ms, run });
    return () => this.#timers.delete(id);
  }

  /** Advances time and runs timers that are due, in order. */
  pass(ms: number): void {
    const end = this.#ms + ms;
    for (;;) {
      const [due] = Array.from(this.#timers)
        .filter(([, { at }]) => at <= end)
        .sort(([, a], [, b]) => a.at - b.at);
      if (due === undefined) break;
      const [id, { at, run }] = due;
      this.#timers.delete(id);
      this.#ms = at;
      run();
    }
    this.#ms = end;
  }

  get timers(): number {
    return this.#timers.size;
  }
}
