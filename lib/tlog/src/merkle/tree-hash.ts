import { decodeBase64 } from '../encoding/base64.js';

declare const treeHash: unique symbol;

/**
 * A SHA-256 hash of a leaf or a node, as 64 lower-case hex digits. A string, because it cannot be changed, compares
 * with `===`, and costs half of what a Buffer costs to make (docs/adr/audit-tree.md, "A package for transparency logs").
 */
export type TreeHash = string & { readonly [treeHash]: true };

/** Parses 64 lower-case hex digits. Undefined for any other text. */
export function parseTreeHash(text: string): TreeHash | undefined {
  return /^[0-9a-f]{64}$/.test(text) ? (text as TreeHash) : undefined;
}

/** Returns the hash that 32 bytes are. Undefined for another number of bytes. */
export function treeHashOfBytes(bytes: Uint8Array): TreeHash | undefined {
  return bytes.byteLength === 32 ? (Buffer.from(bytes).toString('hex') as TreeHash) : undefined;
}

/** Parses the base64 of 32 bytes, as in checkpoints and proofs. Undefined for any other text. */
export function treeHashOfBase64(text: string): TreeHash | undefined {
  const bytes = decodeBase64(text);
  return bytes === undefined ? undefined : treeHashOfBytes(bytes);
}

/** Returns the base64 of a hash, as in checkpoints and proofs. */
export function treeHashToBase64(hash: TreeHash): string {
  return Buffer.from(hash, 'hex').toString('base64');
}
