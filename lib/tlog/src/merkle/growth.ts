import { type ConsistencyProof, proveConsistency } from './consistency.js';
import type { Frontier } from './frontier.js';
import type { HashSink, HashSource, Subtree } from './stored-hashes.js';
import type { TreeHash } from './tree-hash.js';

/**
 * What a proof of consistency needs that begins at one size of a growing tree: the complete subtrees of the leaves up to there,
 * and those of the leaves after them. So it is at most 3 × 53 hashes, however many leaves follow, and proves nothing from any
 * other size.
 */
export class Growth {
  /** The size at which it begins. */
  readonly from: number;
  readonly #before = new Map<string, TreeHash>();
  /** Subtrees without a leaf before `from`, in the order of their leaves, without gaps. */
  readonly #after: (Subtree & { readonly hash: TreeHash })[] = [];
  #size: number;

  /** Begins at the present size of `frontier`, which the caller continues to append to, each time with `store`. */
  constructor(frontier: Frontier) {
    this.from = frontier.size;
    this.#size = frontier.size;
    frontier.forEachSubtree((level, index, hash) => this.#before.set(`${level}/${index}`, hash));
  }

  /** To be passed to `append` of the frontier. */
  readonly store: HashSink = (level, index, hash) => {
    if (level === 0) this.#size = index + 1;
    // Not by bit operators: sizes go up to 2^53 - 1.
    if (index * 2 ** level < this.from) return;
    // Its two children are the last that were stored.
    if (level > 0) this.#after.length -= 2;
    this.#after.push({ level, index, hash });
  };

  /** Returns the proof that the present tree begins with the tree of the first `from` leaves. */
  prove(): ConsistencyProof {
    return proveConsistency(this.from, this.#size, this.#source);
  }

  readonly #source: HashSource = (level, index) =>
    this.#after.find((each) => each.level === level && each.index === index)?.hash ??
    this.#before.get(`${level}/${index}`);
}
