/** How many calls may run at a time. */
export interface Share {
  readonly total: number;
  readonly perOwner: number;
}

interface Waiting {
  readonly owner: string;
  readonly start: () => void;
}

/** Calls of several owners, which take turns: one whose calls hang has `perOwner` of them at most, and others continue. */
export class OwnerTurns {
  readonly #share: () => Share;
  readonly #running: Map<string, number> = new Map();
  readonly #waiting: Waiting[] = [];
  #total = 0;

  /** @param share is asked at each call. */
  constructor(share: () => Share) {
    this.#share = share;
  }

  /** Number of calls that have not returned. */
  get running(): number {
    return this.#total;
  }

  /** Starts a call, now or when it is its turn: those that may start do so in the order in which they came. */
  take(owner: string, call: (returned: () => void) => void): void {
    const start = (): void => {
      this.#total += 1;
      this.#running.set(owner, this.#runningOf(owner) + 1);
      call(() => this.#release(owner));
    };
    if (this.#mayStart(owner)) start();
    else this.#waiting.push({ owner, start });
  }

  #release(owner: string): void {
    this.#total -= 1;
    const left = this.#runningOf(owner) - 1;
    if (left === 0) this.#running.delete(owner);
    else this.#running.set(owner, left);
    const next = this.#waiting.findIndex((each) => this.#mayStart(each.owner));
    if (next >= 0) this.#waiting.splice(next, 1)[0]?.start();
  }

  #mayStart(owner: string): boolean {
    const { total, perOwner } = this.#share();
    return this.#total < total && this.#runningOf(owner) < perOwner;
  }

  #runningOf(owner: string): number {
    return this.#running.get(owner) ?? 0;
  }
}
