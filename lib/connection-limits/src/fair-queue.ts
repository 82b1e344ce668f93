interface Pieces {
  /** Those that wait. */
  readonly starts: (() => Promise<void>)[];
  /** With the one that runs. */
  pieces: number;
}

/** Runs work one piece at a time, a piece of each key in turn: a key that asks much delays its own work. */
export class FairQueue {
  readonly #ofKey: number;
  /** In the order of their turns. Each has work that waits, or that runs. */
  readonly #waiting = new Map<string, Pieces>();
  #isRunning = false;

  /** `ofKey`: the most pieces of a key that wait or run. */
  constructor(ofKey: number) {
    this.#ofKey = ofKey;
  }

  /**
   * Runs work in its turn, and settles as it does; undefined if the key has as many pieces as it may.
   *
   * @param isFirst its key precedes all others.
   */
  run<T>(key: string, work: () => Promise<T>, isFirst = false): Promise<T> | undefined {
    const own = this.#waiting.get(key) ?? { starts: [], pieces: 0 };
    if (own.pieces >= this.#ofKey) return undefined;
    own.pieces += 1;
    if (isFirst) this.#putFirst(key, own);
    else if (!this.#waiting.has(key)) this.#waiting.set(key, own);
    return new Promise<T>((resolve, reject) => {
      own.starts.push(async () => {
        try {
          resolve(await work());
        } catch (error) {
          reject(error);
        } finally {
          own.pieces -= 1;
          if (own.pieces === 0) this.#waiting.delete(key);
        }
      });
      if (!this.#isRunning) void this.#run();
    });
  }

  #putFirst(key: string, own: Pieces): void {
    this.#waiting.delete(key);
    const others = [...this.#waiting];
    this.#waiting.clear();
    for (const [each, pieces] of [[key, own] as const, ...others]) this.#waiting.set(each, pieces);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (;;) {
      const next = [...this.#waiting].find(([, { starts }]) => starts.length > 0);
      if (next === undefined) break;
      const [key, { starts }] = next;
      await starts.shift()?.();
      // Its turn is over, until the others had theirs. The key may have ended meanwhile, and begun anew.
      const own = this.#waiting.get(key);
      if (own === undefined) continue;
      this.#waiting.delete(key);
      this.#waiting.set(key, own);
    }
    this.#isRunning = false;
  }
}
