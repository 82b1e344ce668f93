import type { TreeHash } from './tree-hash.js';

/** A number of leaves, and the root of the tree of these leaves. */
export interface TreeHead {
  readonly size: number;
  readonly root: TreeHash;
}

/** Reports whether a number can be a number of leaves: an integer from 0 to 2^53 - 1. */
export function isTreeSize(size: number): boolean {
  return Number.isSafeInteger(size) && size >= 0;
}
