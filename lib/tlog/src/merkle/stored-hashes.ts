import { nodeHash, type TreeHash } from './tree-hash.js';

/**
 * Returns the stored hash of a complete subtree: the one of the 2^level leaves that begin with leaf number
 * index * 2^level. Level 0 has the leaf hashes. Undefined if it is not stored.
 *
 * A store need not have every hash. The hash of a subtree that is not stored is computed from its two children, and so
 * on. So a store can have all leaf hashes and nothing else, or, for old leaves, a few roots of subtrees and none of
 * their leaves: then proofs that need only the roots are possible, and others throw a MissingHashError.
 */
export type HashSource = (level: number, index: number) => TreeHash | undefined;

/** Stores the hash of a complete subtree; its numbers are those of a HashSource. */
export type HashSink = (level: number, index: number, hash: TreeHash) => void;

/** A hash that a proof needs is not stored, and cannot be computed from stored ones. */
export class MissingHashError extends Error {
  /** The first leaf whose hash is missing. */
  readonly leaf: number;

  constructor(leaf: number) {
    super(`the hash of leaf ${leaf} is missing: neither it nor that of a needed subtree with it is stored`);
    this.name = 'MissingHashError';
    this.leaf = leaf;
  }
}

/** A complete subtree; its numbers are those of a HashSource. */
export interface Subtree {
  readonly level: number;
  readonly index: number;
}

/** Returns the fewest complete subtrees that together have exactly these leaves, in their order. */
export function completeSubtrees(range: LeafRange): readonly Subtree[] {
  const subtrees: Subtree[] = [];
  let { from } = range;
  while (from < range.to) {
    let [level, leaves] = [0, 1];
    while (from % (leaves * 2) === 0 && from + leaves * 2 <= range.to)
      [level, leaves] = [level + 1, leaves * 2];
    subtrees.push({ level, index: from / leaves });
    from += leaves;
  }
  return subtrees;
}

/** Returns the hash of a subtree of the tree, complete or not. Throws a MissingHashError. */
export function hashOfRange(range: LeafRange, source: HashSource): TreeHash {
  const hashes = completeSubtrees(range).map(({ level, index }) => hashOfSubtree(level, index, source));
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}

function hashOfSubtree(level: number, index: number, source: HashSource): TreeHash {
  const stored = source(level, index);
  if (stored !== undefined) return stored;
  if (level === 0) throw new MissingHashError(index);
  const left = hashOfSubtree(level - 1, index * 2, source);
  return nodeHash(left, hashOfSubtree(level - 1, index * 2 + 1, source));
}

/** The leaves from `from` up to but not including `to`. */
export interface LeafRange {
  readonly from: number;
  readonly to: number;
}

/** Returns the largest power of two below the size, which is at least 2: `k` of RFC 6962, Section 2.1. */
export function splitPoint(size: number): number {
  // Not by logarithms or bit operators: sizes go up to 2^53 - 1.
  let k = 1;
  while (k * 2 < size) k *= 2;
  return k;
}

/** A step from a subtree to one of its children. */
interface Step {
  /** The child to which the step does not lead. */
  readonly sibling: LeafRange;
  readonly siblingIs: 'left' | 'right';
}

/** The way from the root of a tree down to one of its subtrees. */
export interface Descent {
  /** From the subtree up to the root, as in the proofs of RFC 6962. */
  readonly steps: readonly Step[];
  readonly end: LeafRange;
}

/**
 * Goes down from the root of a tree of `size` leaves, until `arrived`, always to the child that has the leaf. The
 * children of a tree are the leaves before its split point, and those after it (RFC 6962, Section 2.1).
 */
export function descend(size: number, leaf: number, arrived: (subtree: LeafRange) => boolean): Descent {
  const steps: Step[] = [];
  let end: LeafRange = { from: 0, to: size };
  while (!arrived(end)) {
    const middle = end.from + splitPoint(end.to - end.from);
    const left = { from: end.from, to: middle };
    const right = { from: middle, to: end.to };
    const goesLeft = leaf < middle;
    steps.push({ sibling: goesLeft ? right : left, siblingIs: goesLeft ? 'right' : 'left' });
    end = goesLeft ? left : right;
  }
  return { steps: steps.reverse(), end };
}
