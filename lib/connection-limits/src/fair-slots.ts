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
