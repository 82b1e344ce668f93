/** A token bucket: a burst, then a rate per second. Time is in ns. */
export class TokenBucket {
  readonly #capacity: number;
  readonly #nsPerToken: bigint;
  #tokens: number;
  #since: bigint;

  constructor(capacity: number, perSecond: number, now: bigint) {
    this.#capacity = capacity;
    this.#nsPerToken = BigInt(Math.round(1e9 / perSecond));
    this.#tokens = capacity;
    this.#since = now;
  }

  take(now: bigint): boolean {
    const earned = (now - this.#since) / this.#nsPerToken;
    if (earned > 0n) {
      this.#tokens = Math.min(this.#capacity, this.#tokens + Number(earned));
      this.#since += earned * this.#nsPerToken;
    }
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
