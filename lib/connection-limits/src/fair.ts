interface Holder {
  readonly evict: () => void;
}

/**
 * Places of several keys. A key has at most `ofKey`. When all are taken, a key that has fewer than another one gets the newest place
 * of the one that has most, so that no key can take all places from others.
 */
export class FairSlots {
  readonly #total: number;
  readonly #ofKey: number;
  /** Each in the order of their beginning. */
  readonly #holders = new Map<string, Set<Holder>>();
  #taken = 0;

  constructor({ total, ofKey = total }: { readonly total: number; readonly ofKey?: number }) {
    this.#total = total;
    this.#ofKey = ofKey;
  }

  /**
   * Returns a function that gives the place back, once; undefined if there is none for the key. `evict` is called when the place is
   * given to another key: it is free then.
   *
   * @param returning the places that the key is about to give back, which do not count.
   */
  take(key: string, evict: () => void, returning = 0): (() => void) | undefined {
    const own = (this.#holders.get(key)?.size ?? 0) - returning;
    if (own >= this.#ofKey) return undefined;
    if (this.#taken - returning >= this.#total && !this.#makeRoom(own)) return undefined;
    const holder: Holder = { evict };
    const holders = this.#holders.get(key) ?? new Set();
    this.#holders.set(key, holders);
    holders.add(holder);
    this.#taken += 1;
    return () => this.#release(key, holder);
  }

  /** Takes a place from the key that has the most. With one place less it must not have fewer than the newcomer has then. */
  #makeRoom(own: number): boolean {
    let max: readonly [string, Set<Holder>] | undefined;
    for (const each of this.#holders) if (max === undefined || each[1].size > max[1].size) max = each;
    const newest = [...(max?.[1] ?? [])].at(-1);
    if (max === undefined || newest === undefined || max[1].size <= own + 1) return false;
    this.#release(max[0], newest);
    newest.evict();
    return true;
  }

  #release(key: string, holder: Holder): void {
    const holders = this.#holders.get(key);
    if (holders?.delete(holder) !== true) return;
    this.#taken -= 1;
    if (holders.size === 0) this.#holders.delete(key);
  }
}

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
