import { parseDecimal, quote, TextFormError } from '../text-form.js';
import { type ConsistencyProof, proveConsistency } from './proofs.js';
import { emptyRoot, nodeHash, parseTreeHash, type TreeHash, type TreeHead } from './tree-hash.js';
import { completeSubtrees, type HashSink, type HashSource, type Subtree } from './stored-hashes.js';

/**
 * The right edge of a growing tree: the hashes of its complete subtrees, one for each bit of its size that is set. It is
 * all that is needed to append leaves and to compute the root. A leaf costs one SHA-256 of a node on average, besides
 * the hash of the leaf itself.
 */
export class Frontier {
  #size = 0;
  /** By level. Of a level whose bit of the size is not set the hash is an old one, and unused. */
  readonly #hashes: TreeHash[] = [];

  get size(): number {
    return this.#size;
  }

  /**
   * Appends a leaf by its hash. `store` gets the hash of the leaf and of each subtree that it completes, in the order of
   * their levels; if it throws, the leaf is not appended.
   */
  append(leaf: TreeHash, store?: HashSink): void {
    if (this.#size === Number.MAX_SAFE_INTEGER)
      throw new RangeError('the tree has 2^53 - 1 leaves: it is full');
    let [hash, level, index] = [leaf, 0, this.#size];
    store?.(level, index, hash);
    while (index % 2 === 1) {
      hash = nodeHash(this.#hashes[level] as TreeHash, hash);
      level += 1;
      index = (index - 1) / 2;
      store?.(level, index, hash);
    }
    this.#hashes[level] = hash;
    this.#size += 1;
  }

  /** Returns the root of the tree (RFC 6962, Section 2.1). Up to 52 SHA-256. */
  root(): TreeHash {
    const [smallest, ...larger] = this.#used();
    if (smallest === undefined) return emptyRoot;
    return larger.reduce((right, left) => nodeHash(left, right), smallest);
  }

  head(): TreeHead {
    return { size: this.#size, root: this.root() };
  }

  /** Calls `store` with each complete subtree of the edge, the largest first. */
  forEachSubtree(store: HashSink): void {
    for (const { level, index } of completeSubtrees({ from: 0, to: this.#size }))
      store(level, index, this.#hashes[level] as TreeHash);
  }

  /** Returns one line, without a newline: the size and the hashes, largest subtree first, with a space between them. */
  toString(): string {
    return [this.#size, ...this.#used().reverse()].join(' ');
  }

  /** Parses what `toString` returns. Throws a TextFormError. The caller must know that the text is its own. */
  static parse(text: string): Frontier {
    const [first = '', ...rest] = text.split(' ');
    const size = parseDecimal(first);
    if (size === undefined) throw new TextFormError(`frontier: ${quote(first)} is not a size`);
    const hashes = rest.map(parseTreeHash).filter((hash) => hash !== undefined);
    const levels = levelsOf(size);
    if (hashes.length !== rest.length || hashes.length !== levels.length)
      throw new TextFormError(`frontier: after the size ${size} it does not have ${levels.length} hashes`);
    const frontier = new Frontier();
    frontier.#size = size;
    for (const [at, hash] of hashes.reverse().entries()) frontier.#hashes[levels[at] as number] = hash;
    return frontier;
  }

  /** Smallest subtree first. */
  #used(): TreeHash[] {
    return levelsOf(this.#size).map((level) => this.#hashes[level] as TreeHash);
  }
}

/** Returns the levels of the complete subtrees of a tree, lowest first: the bits of its size that are set. */
function levelsOf(size: number): readonly number[] {
  const levels: number[] = [];
  // Not by bit operators: sizes go up to 2^53 - 1.
  for (let [level, rest] = [0, size]; rest > 0; level += 1, rest = Math.floor(rest / 2))
    if (rest % 2 === 1) levels.push(level);
  return levels;
}

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
