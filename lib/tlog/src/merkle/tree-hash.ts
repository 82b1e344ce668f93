import { hash } from 'node:crypto';
import { decodeBase64, TextFormError } from '../text-form.js';

/** The hash of the empty tree: SHA-256 of no bytes (RFC 6962, Section 2.1). */
export const emptyRoot: TreeHash = hash('sha256', '') as TreeHash;

/** Longer leaves are hashed through a buffer of their own. */
const scratch = Buffer.alloc(16 * 1024);

const node = Buffer.alloc(1 + 32 + 32, 0x01);

/** C2SP tlog-witness, "add-checkpoint". No proof of a tree of up to 2^53 - 1 leaves has more. */
const maxHashLines = 63;

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

/** Returns one line with a newline for each hash, in base64. */
export function formatHashLines(hashes: readonly TreeHash[]): string {
  return hashes.map((hash) => `${treeHashToBase64(hash)}\n`).join('');
}

/** Parses lines without their newlines. Throws a TextFormError; `what` names the text in it. */
export function parseHashLines(lines: readonly string[], what: string): readonly TreeHash[] {
  if (lines.length > maxHashLines)
    throw new TextFormError(`${what}: it has ${lines.length} hashes, and may have ${maxHashLines}`);
  return lines.map((line, at) => {
    const hash = treeHashOfBase64(line);
    if (hash === undefined) throw new TextFormError(`${what}: hash ${at + 1} is not the base64 of 32 bytes`);
    return hash;
  });
}

/** The two parts of a text that has lines and then, after an empty line, a checkpoint. */
interface LinesAndCheckpoint {
  readonly lines: readonly string[];
  readonly checkpoint: string;
}

/** Splits such a text at its first empty line. Throws a TextFormError; `what` names the text in it. */
export function splitAtCheckpoint(text: string, what: string): LinesAndCheckpoint {
  const split = text.indexOf('\n\n');
  if (split < 0) throw new TextFormError(`${what}: it has no empty line before a checkpoint`);
  return { lines: text.slice(0, split).split('\n'), checkpoint: text.slice(split + 2) };
}

/** A number of leaves, and the root of the tree of these leaves. */
export interface TreeHead {
  readonly size: number;
  readonly root: TreeHash;
}

/** Reports whether a number can be a number of leaves: an integer from 0 to 2^53 - 1. */
export function isTreeSize(size: number): boolean {
  return Number.isSafeInteger(size) && size >= 0;
}

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
