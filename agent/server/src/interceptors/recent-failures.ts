/** How long a failure counts, in ms. */
const recentMs = 10_000;

/**
 * Methods with recent failures. A caller that provokes failures must not fill the log: the intents of their next calls
 * are recorded only when a change begins. For other methods the intents precede the queue, so that concurrent calls
 * share one disk write.
 */
export class RecentFailures {
  readonly #until = new Map<string, number>();

  /** `now` in ms, on a monotonic clock. */
  add(listener: string, method: string, now: number): void {
    this.#until.set(`${listener}\0${method}`, now + recentMs);
  }

  has(listener: string, method: string, now: number): boolean {
    return (this.#until.get(`${listener}\0${method}`) ?? 0) > now;
  }
}
