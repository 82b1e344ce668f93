/** How long a failure counts, in ms. */
const recentMs = 10_000;

/**
 * The methods whose calls have failed a short while ago. Their next calls may fail as well, and a caller who makes them fail
 * must not fill the log: their intent is recorded no earlier than they begin to change something. Calls of others share one
 * write of the disk, since their intents are recorded before they take their turns.
 */
export class RecentFailures {
  readonly #until = new Map<string, number>();

  /** `now` in ms, on a clock that only goes forward. */
  add(listener: string, method: string, now: number): void {
    this.#until.set(`${listener}\0${method}`, now + recentMs);
  }

  has(listener: string, method: string, now: number): boolean {
    return (this.#until.get(`${listener}\0${method}`) ?? 0) > now;
  }
}
