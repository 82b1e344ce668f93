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
