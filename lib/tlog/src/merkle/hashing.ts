import { hash } from 'node:crypto';
import type { TreeHash } from './tree-hash.js';

/** The hash of the empty tree: SHA-256 of no bytes (RFC 6962, Section 2.1). */
export const emptyRoot: TreeHash = hash('sha256', '') as TreeHash;

/** Longer leaves are hashed through a buffer of their own. */
const scratch = Buffer.alloc(16 * 1024);
const node = Buffer.alloc(1 + 32 + 32, 0x01);

/** Returns SHA-256(0x00 || leaf) (RFC 6962, Section 2.1). A string is hashed as its UTF-8 bytes. */
export function leafHash(leaf: Uint8Array | string): TreeHash {
  if (typeof leaf === 'string') return hash('sha256', `\0${leaf}`) as TreeHash;
  const length = 1 + leaf.byteLength;
  const input = length <= scratch.byteLength ? scratch.subarray(0, length) : Buffer.alloc(length);
  // scratch[0] is never written.
  input.set(leaf, 1);
  return hash('sha256', input) as TreeHash;
}

/** Returns SHA-256(0x01 || left || right) (RFC 6962, Section 2.1). */
export function nodeHash(left: TreeHash, right: TreeHash): TreeHash {
  // One write is cheaper than two.
  node.write(left + right, 1, 64, 'hex');
  return hash('sha256', node) as TreeHash;
}
