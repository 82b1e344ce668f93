/** How many events are allowed. */
export interface Rate {
  /** At once. */
  readonly burst: number;
  /** In the long run. */
  readonly perSecond: number;
}

/** Allows events at a rate. Times are of a monotonic clock, in milliseconds. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledAt: number;

  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#filledAt = now;
  }

  /** Takes a token. Returns false if there is none. */
  take(now: number): boolean {
    if (this.waitMs(now) > 0) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Returns 0 if there is a token, otherwise the milliseconds until there is one, rounded up. */
  waitMs(now: number): number {
    const { burst, perSecond } = this.#rate;
    const elapsed = Math.max(0, now - this.#filledAt);
    this.#tokens = Math.min(burst, this.#tokens + (elapsed / 1_000) * perSecond);
    this.#filledAt = Math.max(this.#filledAt, now);
    return this.#tokens >= 1 - rounding ? 0 : Math.ceil(((1 - this.#tokens) / perSecond) * 1_000);
  }
}

/** What sums of fractions of a token may lack of a whole one. */
const rounding = 1e-9;
