/** Counts what is in use for each key, up to a limit. */
export class Slots {
  readonly #limit: number;
  readonly #used = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Returns a function that gives the slots back, once; undefined if there are not as many. */
  take(key: string, count = 1): (() => void) | undefined {
    const used = this.#used.get(key) ?? 0;
    if (used + count > this.#limit) return undefined;
    this.#used.set(key, used + count);
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      const left = (this.#used.get(key) ?? count) - count;
      if (left === 0) this.#used.delete(key);
      else this.#used.set(key, left);
    };
  }
}
