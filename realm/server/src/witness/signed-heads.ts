import type { TreeHash } from '@kata-agent/tlog';

/** A checkpoint that its log has signed. */
export interface SignedHead {
  readonly size: number;
  readonly root: TreeHash;
  /** The note, with the signature of the log. */
  readonly note: string;
}

/** Two checkpoints of different trees of one size. They are a proof: the log has signed both. */
export interface Contradiction {
  readonly size: number;
  readonly notes: readonly [string, string];
}

/**
 * Heads that a guest has signed, until each was compared with the records. Those that the witness has cosigned are all kept: it
 * cosigns no more while `maxCosigned` of them wait. Of a guest that signs more than `most` others before its records arrive, the
 * largest are kept: each says all that those before it say, if they are of one log.
 */
export class SignedHeads {
  readonly #max: number;
  readonly #maxCosigned: number;
  /** Sizes of those that are cosigned. */
  readonly #cosigned = new Set<number>();
  /** By size. */
  readonly #waiting = new Map<number, SignedHead>();

  constructor(max = 32, maxCosigned = 256) {
    this.#max = max;
    this.#maxCosigned = maxCosigned;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Adds a head. Returns a contradiction to one that waits, if there is one. */
  add(head: SignedHead): Contradiction | undefined {
    const known = this.#waiting.get(head.size);
    if (known !== undefined)
      return known.root === head.root ? undefined : { size: head.size, notes: [known.note, head.note] };
    this.#waiting.set(head.size, head);
    if (this.#waiting.size - this.#cosigned.size > this.#max) {
      const others = Array.from(this.#waiting.keys()).filter((size) => !this.#cosigned.has(size));
      this.#waiting.delete(Math.min(...others));
    }
    return undefined;
  }

  /** Whether as many as may be wait and are cosigned. */
  get isFull(): boolean {
    return this.#cosigned.size >= this.#maxCosigned;
  }

  /** Keeps a head until it is compared, if it waits: it is cosigned. */
  keep(head: SignedHead): void {
    if (this.#waiting.get(head.size)?.root === head.root) this.#cosigned.add(head.size);
  }

  /** Takes one of at most so many leaves. */
  take(size: number): SignedHead | undefined {
    for (const head of this.#waiting.values())
      if (head.size <= size) {
        this.#waiting.delete(head.size);
        this.#cosigned.delete(head.size);
        return head;
      }
    return undefined;
  }
}
