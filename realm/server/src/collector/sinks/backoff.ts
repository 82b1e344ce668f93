import { setTimeout as sleep } from 'node:timers/promises';

/** The time between attempts: doubled with each that fails, up to a limit, with jitter. */
export class Backoff {
  readonly #firstMs: number;
  readonly #lastMs: number;
  #nextMs: number;
  #until = 0;

  constructor(firstMs: number, lastMs: number) {
    this.#firstMs = firstMs;
    this.#lastMs = lastMs;
    this.#nextMs = firstMs;
  }

  /** Notes a failure. Returns for how long to wait, in ms. */
  failed(): number {
    const ms = Math.round(this.#nextMs * (0.5 + Math.random() / 2));
    this.#until = performance.now() + ms;
    this.#nextMs = Math.min(2 * this.#nextMs, this.#lastMs);
    return ms;
  }

  succeeded(): void {
    this.#nextMs = this.#firstMs;
    this.#until = 0;
  }

  /** Waits until the next attempt may be made. Rejects when the signal aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    const ms = this.#until - performance.now();
    if (ms > 0) await sleep(ms, undefined, { signal });
    signal.throwIfAborted();
  }
}
