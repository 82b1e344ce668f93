import { Frontier } from '../merkle/frontier.js';
import { leafHash, type TreeHash, type TreeHead } from '../merkle/tree-hash.js';
import type { HashSink, HashSource } from '../merkle/stored-hashes.js';

/** A tree with every hash that it ever had. */
export interface MemoryTree {
  readonly source: HashSource;
  /** Each head, by its size. */
  readonly heads: readonly TreeHead[];
}

/** Builds the tree of these leaves, one by one. */
export function memoryTree(leaves: Iterable<Uint8Array | string>): MemoryTree {
  const hashes = new Map<string, TreeHash>();
  const sink: HashSink = (level, index, hash) => {
    hashes.set(`${level}/${index}`, hash);
  };
  const frontier = new Frontier();
  const heads = [frontier.head()];
  for (const leaf of leaves) {
    frontier.append(leafHash(leaf), sink);
    heads.push(frontier.head());
  }
  return { source: (level, index) => hashes.get(`${level}/${index}`), heads };
}

/** Returns the leaves `record 0`, `record 1`, … */
export function records(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `record ${index}`);
}
