import { leafHash, type TreeHash } from '@kata-agent/tlog';

/**
 * The two forms of a record (FORMAT.md, "The chain"): the line, and the leaf of the tree.
 *
 *     line     RECORD without its last brace, `,"hash":"SHA-256(0x00 || RECORD)"}`
 *     leaf     RECORD
 *
 * One hash serves the chain and the tree.
 */
const tailPattern = /,"hash":"(?<stated>[0-9a-f]{64})"\}$/;
const tailLength = ',"hash":"'.length + 64 + '"}'.length;
const brace = Buffer.from('}');
const newline = Buffer.from('\n');

/** Returns the line, without its newline, of a record of printable ASCII, and its hash. `open`: without its last brace. */
export function hashedLine(open: string): { readonly line: string; readonly hash: TreeHash } {
  const own = leafHash(`${open}}`);
  return { line: `${open},"hash":"${own}"}`, hash: own };
}

/** The hashes of a line. */
export interface LineHashes {
  /** The hash that the line has as its last member; undefined: none, it is not a record. */
  readonly stated: string | undefined;
  /** Whether the line has this hash. */
  readonly matches: boolean;
  /** In the tree. A line that is not a record has one as well, that of no record. */
  readonly leaf: TreeHash;
}

/** Returns the hashes of a line without its newline. */
export function lineHashes(line: Buffer): LineHashes {
  const { stated, own } = hashesOf(line);
  const matches = own !== undefined && own === stated;
  return { stated, matches, leaf: matches ? own : leafHash(unhashedLeaf(line)) };
}

/** Returns the bytes of the leaf of a line without its newline. */
export function leafOf(line: Buffer): Buffer {
  const { stated, own } = hashesOf(line);
  return own !== undefined && own === stated ? recordOf(line) : unhashedLeaf(line);
}

/** Returns the hash that a line has as its last member, and whether it is that of the line. Hashes no leaf of other lines. */
export function statedHash(line: Buffer): Pick<LineHashes, 'stated' | 'matches'> {
  const { stated, own } = hashesOf(line);
  return { stated, matches: own !== undefined && own === stated };
}

/** `own`: what the line's hash must be; undefined if it has none. */
function hashesOf(line: Buffer): { readonly stated: string | undefined; readonly own: TreeHash | undefined } {
  const end = line.toString('latin1', Math.max(0, line.length - tailLength));
  const stated = tailPattern.exec(end)?.groups?.['stated'];
  return { stated, own: stated === undefined ? undefined : leafHash(recordOf(line)) };
}

/** Returns a line without its last member. */
function recordOf(line: Buffer): Buffer {
  return Buffer.concat([line.subarray(0, -tailLength), brace]);
}

/** No record has a newline: without it, a record that has lost its hash would be the leaf of the record. */
function unhashedLeaf(line: Buffer): Buffer {
  return Buffer.concat([line, newline]);
}
