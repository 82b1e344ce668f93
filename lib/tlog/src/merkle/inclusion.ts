import { nodeHash } from './hashing.js';
import { ProofError } from './proof-error.js';
import { type Descent, descend } from './ranges.js';
import { type HashSource, hashOfRange } from './stored-hashes.js';
import { isTreeSize, type TreeHead } from './tree-head.js';
import type { TreeHash } from './tree-hash.js';

/** The hashes that prove that a tree has a leaf, from the leaf's sibling up: PATH of RFC 6962, Section 2.1.1. */
export type InclusionProof = readonly TreeHash[];

function descentToLeaf(index: number, size: number): Descent | undefined {
  if (!isTreeSize(size) || !isTreeSize(index) || index >= size) return undefined;
  return descend(size, index, ({ from, to }) => to - from === 1);
}

/**
 * Returns the proof that the tree of the first `size` leaves has the leaf `index`, which counts from 0. Throws a
 * MissingHashError; a RangeError if that tree has no such leaf.
 */
export function proveInclusion(index: number, size: number, source: HashSource): InclusionProof {
  const descent = descentToLeaf(index, size);
  if (descent === undefined) throw new RangeError(`a tree of ${size} leaves has no leaf ${index}`);
  return descent.steps.map(({ sibling }) => hashOfRange(sibling, source));
}

/**
 * Checks that the tree has this leaf, whose hash the caller has computed, at the index. The proof must have exactly the
 * hashes that RFC 6962, Section 2.1.1, defines. Throws a ProofError.
 */
export function checkInclusion(index: number, leaf: TreeHash, head: TreeHead, proof: InclusionProof): void {
  const descent = descentToLeaf(index, head.size);
  if (descent === undefined)
    throw new ProofError(`inclusion proof: a tree of ${head.size} leaves has no leaf ${index}`);
  const { steps } = descent;
  if (proof.length !== steps.length)
    throw new ProofError(
      `inclusion proof: it has ${proof.length} hashes, and leaf ${index} of ${head.size} needs ${steps.length}`,
    );
  const root = steps.reduce((hash, { siblingIs }, at) => {
    const sibling = proof[at] as TreeHash;
    return siblingIs === 'left' ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
  }, leaf);
  if (root !== head.root)
    throw new ProofError(`inclusion proof: the tree of ${head.size} leaves does not have this leaf ${index}`);
}
