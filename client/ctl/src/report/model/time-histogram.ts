/** Calls of one interval. */
export interface Interval {
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  readonly calls: number;
  readonly denied: number;
}

const maxIntervals = 120;

/** Counts calls by time, in intervals that double when they become too many: the range of a log is known at its end only. */
export class TimeHistogram {
  #widthMs = 1_000;
  #counts = new Map<number, { calls: number; denied: number }>();
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;

  /** `time`: milliseconds since 1970. */
  add(time: number, calls: number, denied: number): void {
    const at = Math.floor(time / this.#widthMs);
    this.#first = Math.min(this.#first, at);
    this.#last = Math.max(this.#last, at);
    this.#count(at, calls, denied);
    while (this.#last - this.#first >= maxIntervals) this.#double();
  }

  /** Returns each interval from the first to the last, also those without calls. */
  get intervals(): readonly Interval[] {
    if (this.#counts.size === 0) return [];
    return Array.from({ length: this.#last - this.#first + 1 }, (_, index) => {
      const at = this.#first + index;
      const { calls, denied } = this.#counts.get(at) ?? { calls: 0, denied: 0 };
      return { from: at * this.#widthMs, to: (at + 1) * this.#widthMs, calls, denied };
    });
  }

  #count(at: number, calls: number, denied: number): void {
    const count = this.#counts.get(at) ?? { calls: 0, denied: 0 };
    count.calls += calls;
    count.denied += denied;
    this.#counts.set(at, count);
  }

  #double(): void {
    const counts = this.#counts;
    this.#widthMs *= 2;
    this.#first = Math.floor(this.#first / 2);
    this.#last = Math.floor(this.#last / 2);
    this.#counts = new Map();
    for (const [at, { calls, denied }] of counts) this.#count(Math.floor(at / 2), calls, denied);
  }
}
