import { type AuditRecord, type Position, positionOf } from '@kata-agent/audit';
import {
  Frontier,
  type LogVerifier,
  parseAgentLogVerifier,
  TextFormError,
  type TreeHash,
  type UnverifiedCheckpoint,
} from '@kata-agent/tlog';

/** What a checkpoint says of the records that were collected. */
export type Comparison =
  /** They are exactly its records. */
  | { readonly kind: 'agrees'; readonly last: number }
  /** Not all of its records have come. */
  | { readonly kind: 'later' }
  /** Its start of the agent is not the one whose records come now, or not all of its records are known. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'differs'; readonly last: number; readonly what: string };

interface Leaf {
  readonly hash: TreeHash;
  readonly position: Position;
}

/**
 * The Merkle tree of the start of the agent whose records come now (FORMAT.md, "The tree"): its right edge, and the leaves since a
 * checkpoint was asked for, so that it can be compared whatever has come before the answer. Pure.
 */
export class CollectedTree {
  #base: Frontier;
  /** Of the last leaf of the edge. */
  #at: Position;
  #leaves: Leaf[] = [];
  readonly #first: number;
  readonly #keyText: string | undefined;
  readonly key: LogVerifier | undefined;

  private constructor(first: number, keyText: string | undefined, base: Frontier, at: Position) {
    this.#first = first;
    this.#keyText = keyText;
    this.key = keyOf(keyText);
    this.#base = base;
    this.#at = at;
  }

  /** Begins with the record of a boot. */
  static begin(record: Extract<AuditRecord, { kind: 'boot' }>, leaf: TreeHash): CollectedTree {
    const base = new Frontier();
    base.append(leaf);
    const { logKey } = record;
    return new CollectedTree(
      record.sequence,
      typeof logKey === 'string' ? logKey : undefined,
      base,
      positionOf(record),
    );
  }

  /** Parses what `toString` returns; undefined if it is something else. */
  static parse(text: string): CollectedTree | undefined {
    try {
      const { first, key, sequence, hash, frontier } = JSON.parse(text) as Record<string, unknown>;
      if (typeof first !== 'number' || typeof sequence !== 'number') return undefined;
      if (typeof hash !== 'string' || typeof frontier !== 'string') return undefined;
      const base = Frontier.parse(frontier);
      if (base.size !== sequence - first + 1) return undefined;
      return new CollectedTree(first, typeof key === 'string' ? key : undefined, base, { sequence, hash });
    } catch (error) {
      if (error instanceof TextFormError || error instanceof SyntaxError || error instanceof TypeError)
        return undefined;
      throw error;
    }
  }

  /** Without the leaves since `fold`. */
  toString(): string {
    const { sequence, hash } = this.#at;
    return JSON.stringify({
      first: this.#first,
      key: this.#keyText,
      sequence,
      hash,
      frontier: this.#base.toString(),
    });
  }

  /** The last record of the tree. */
  get last(): Position {
    return this.#leaves.at(-1)?.position ?? this.#at;
  }

  /** Adds the record after the last one. */
  append(record: AuditRecord, hash: TreeHash, keepLeaf: boolean): void {
    const leaf = { hash, position: positionOf(record) };
    if (keepLeaf) this.#leaves.push(leaf);
    else {
      this.fold();
      this.#add(leaf);
    }
  }

  /** Forgets the single leaves: an earlier checkpoint cannot be compared any more. */
  fold(): void {
    for (const leaf of this.#leaves) this.#add(leaf);
    this.#leaves = [];
  }

  /** Compares a checkpoint whose signature is verified. `first`: the sequence number that the agent gives for its first record. */
  compare({ origin, head }: Pick<UnverifiedCheckpoint, 'origin' | 'head'>, first: number): Comparison {
    if (this.key?.name !== origin) {
      this.fold();
      return { kind: 'unknown' };
    }
    const last = this.#first + head.size - 1;
    if (first !== this.#first)
      return {
        kind: 'differs',
        last,
        what: `it begins with record ${first}, and the log with ${this.#first}`,
      };
    if (head.size < this.#base.size)
      return {
        kind: 'differs',
        last,
        what: `it has ${head.size} records, and ${this.#base.size} had been sent before it was asked for`,
      };
    const missing = head.size - this.#base.size - this.#leaves.length;
    if (missing > 0) {
      this.fold();
      return { kind: 'later' };
    }
    for (const leaf of this.#leaves.splice(0, head.size - this.#base.size)) this.#add(leaf);
    if (this.#base.root() === head.root) return { kind: 'agrees', last };
    return {
      kind: 'differs',
      last,
      what: `at least one of its ${head.size} records is not the one that was sent`,
    };
  }

  #add({ hash, position }: Leaf): void {
    this.#base.append(hash);
    this.#at = position;
  }
}

function keyOf(text: string | undefined): LogVerifier | undefined {
  if (text === undefined) return undefined;
  try {
    return parseAgentLogVerifier(text);
  } catch (error) {
    if (error instanceof TextFormError) return undefined;
    throw error;
  }
}
