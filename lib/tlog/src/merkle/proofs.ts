import { emptyRoot, isTreeSize, nodeHash, type TreeHash, type TreeHead } from './tree-hash.js';
import { descend, type Descent, hashOfRange, type HashSource } from './stored-hashes.js';

/**
 * The hashes that prove that a tree begins with all leaves of a smaller one: PROOF of RFC 6962, Section 2.1.2. Empty for
 * trees of the same size. RFC 6962 defines none for the empty tree; as in C2SP's tlog-witness it is empty.
 */
export type ConsistencyProof = readonly TreeHash[];

/**
 * Goes down to the subtree that ends where the old tree ends. If it begins with leaf 0, it is the old tree, whose root
 * the verifier has. Otherwise the proof begins with its hash.
 */
function descentToEnd(oldSize: number, size: number): Descent {
  return descend(size, oldSize - 1, ({ to }) => to === oldSize);
}

/**
 * Returns the proof that the tree of the first `size` leaves begins with the tree of the first `oldSize` leaves. Throws
 * a MissingHashError; a RangeError if the old tree is larger.
 */
export function proveConsistency(oldSize: number, size: number, source: HashSource): ConsistencyProof {
  if (!isTreeSize(oldSize) || !isTreeSize(size) || oldSize > size)
    throw new RangeError(`a tree of ${size} leaves does not begin with one of ${oldSize} leaves`);
  if (oldSize === 0) return [];
  const { steps, end } = descentToEnd(oldSize, size);
  const ranges = steps.map(({ sibling }) => sibling);
  return (end.from === 0 ? ranges : [end, ...ranges]).map((range) => hashOfRange(range, source));
}

/**
 * Checks that a tree begins with all leaves of an old one. The proof must have exactly the hashes that RFC 6962, Section
 * 2.1.2, defines; an empty tree must have the empty tree's root. Throws a ProofError.
 */
export function checkConsistency(old: TreeHead, head: TreeHead, proof: ConsistencyProof): void {
  const sizes = `from ${old.size} to ${head.size} leaves`;
  if (!isTreeSize(old.size) || !isTreeSize(head.size) || old.size > head.size)
    throw new ProofError(`consistency proof: ${sizes} is not possible`);
  for (const { size, root } of [old, head])
    if (size === 0 && root !== emptyRoot)
      throw new ProofError('consistency proof: a tree of 0 leaves does not have the root of the empty tree');
  const requireCount = (needed: number): void => {
    if (proof.length === needed) return;
    throw new ProofError(`consistency proof: it has ${proof.length} hashes, and ${sizes} needs ${needed}`);
  };
  // Every tree begins with the empty one.
  if (old.size === 0) return requireCount(0);
  const { steps, end } = descentToEnd(old.size, head.size);
  requireCount(steps.length + (end.from === 0 ? 0 : 1));
  const siblings = end.from === 0 ? proof : proof.slice(1);
  const start = end.from === 0 ? old.root : (proof[0] as TreeHash);
  let [oldRoot, root] = [start, start];
  for (const [at, { siblingIs }] of steps.entries()) {
    const sibling = siblings[at] as TreeHash;
    if (siblingIs === 'left') oldRoot = nodeHash(sibling, oldRoot);
    root = siblingIs === 'left' ? nodeHash(sibling, root) : nodeHash(root, sibling);
  }
  if (oldRoot !== old.root || root !== head.root)
    throw new ProofError(`consistency proof: ${sizes}, the tree does not begin with the old one`);
}

/** A proof that does not prove what it should. */
export class ProofError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProofError';
  }
}

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
