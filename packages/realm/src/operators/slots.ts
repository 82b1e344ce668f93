/** Counts what is in use for each key, up to a limit. */
export class Slots {
  readonly #limit: number;
  readonly #used = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Returns a function that gives the slot back, once; undefined if all are in use. */
  take(key: string): (() => void) | undefined {
    const used = this.#used.get(key) ?? 0;
    if (used >= this.#limit) return undefined;
    this.#used.set(key, used + 1);
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      const left = (this.#used.get(key) ?? 1) - 1;
      if (left === 0) this.#used.delete(key);
      else this.#used.set(key, left);
    };
  }
}
