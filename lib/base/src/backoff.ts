import { setTimeout as sleep } from 'node:timers/promises';

export interface BackoffWindows {
  /** The window after the first failure. */
  readonly firstMs: number;
  /** The largest window. */
  readonly lastMs: number;
}

/**
 * Returns the time until the next attempt: at random below a window that doubles with each failure, so that many clients do not
 * return to a server at once (full jitter).
 *
 * @param failures in a row before the last one.
 * @param random at least 0, below 1.
 */
export function backoffMs({ firstMs, lastMs }: BackoffWindows, failures: number, random: number): number {
  return Math.ceil(random * Math.min(lastMs, firstMs * 2 ** failures));
}

export interface BackoffOptions extends BackoffWindows {
  /** For tests. */
  readonly random?: () => number;
}

/** The time until the next attempt, with the number of failures in a row. */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;
  #until = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Notes a failure. Returns for how long to wait, in milliseconds. */
  failed(): number {
    const { random = Math.random } = this.#options;
    const ms = backoffMs(this.#options, this.#failures, random());
    this.#failures += 1;
    this.#until = performance.now() + ms;
    return ms;
  }

  /** The next failure is a first one again. */
  succeeded(): void {
    this.#failures = 0;
    this.#until = 0;
  }

  /** Waits until the next attempt may be made. Rejects when the signal aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const ms = this.#until - performance.now();
    if (ms > 0) await sleep(ms, undefined, { signal });
  }
}
