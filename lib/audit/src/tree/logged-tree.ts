import {
  Frontier,
  hashOfRange,
  type HashSource,
  type LogVerifier,
  type TreeHash,
  type TreeHead,
} from '@kata-agent/tlog';

/** The tree of one start of the agent, as it is read from a file. Leaves of removed records are known only as subtrees. */
export class LoggedTree {
  /** Sequence number of the record that is leaf 0. */
  readonly first: number;
  /** Named by the boot record; undefined if that is removed, or names none. */
  readonly key: LogVerifier | undefined;
  /** Number of leaves whose records are removed. */
  readonly removed: number;
  readonly #leaves: readonly TreeHash[];
  readonly #subtrees = new Map<string, TreeHash>();

  constructor(options: {
    readonly first: number;
    readonly key?: LogVerifier | undefined;
    /** The tree of the removed records; without it none is removed. */
    readonly frontier?: Frontier;
    readonly leaves: readonly TreeHash[];
  }) {
    const { first, key, frontier, leaves } = options;
    this.first = first;
    this.key = key;
    this.removed = frontier?.size ?? 0;
    this.#leaves = leaves;
    frontier?.forEachSubtree((level, index, hash) => this.#subtrees.set(`${level}/${index}`, hash));
  }

  get size(): number {
    return this.removed + this.#leaves.length;
  }

  readonly source: HashSource = (level, index) =>
    (level === 0 ? this.#leaves[index - this.removed] : undefined) ?? this.#subtrees.get(`${level}/${index}`);

  /** Returns the head of the first `size` leaves. Throws a MissingHashError if more than those are removed. */
  head(size: number = this.size): TreeHead {
    return { size, root: hashOfRange({ from: 0, to: size }, this.source) };
  }
}
