import { hash } from 'node:crypto';
import { leafHash, type TreeHash } from '@kata-agent/tlog';

/**
 * The two formats of a line (FORMAT.md, "The chain"). The second is written; the first is read.
 *
 *     second   RECORD without its last brace, `,"hash":"SHA-256(0x00 || RECORD)"}`: the leaf of the record, which is RECORD
 *     first    BODY,"hash":"SHA-256(BODY)"}: the leaf is the line
 *
 * In the second one hash serves the chain and the tree. A line that ends in two hashes is none: so a leaf is that of one line.
 */
const tailPattern = /(?<other>,"hash":"[0-9a-f]{64}")?,"hash":"(?<stated>[0-9a-f]{64})"\}$/;
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
  const { stated, format } = formatOf(line);
  const leaf = format === 'second' ? (stated as TreeHash) : leafHash(leafIn(format, line));
  return { stated, matches: format !== undefined, leaf };
}

/** Returns the bytes of the leaf of a line without its newline. */
export function leafOf(line: Buffer): Buffer {
  return leafIn(formatOf(line).format, line);
}

type Format = 'first' | 'second' | undefined;

/** Returns the hash that a line has as its last member, and the format in which it is that of the line. Hashes no leaf. */
export function formatOf(line: Buffer): { readonly stated: string | undefined; readonly format: Format } {
  const end = line.toString('latin1', Math.max(0, line.length - 2 * tailLength));
  const { other, stated } = tailPattern.exec(end)?.groups ?? {};
  if (stated === undefined || other !== undefined) return { stated, format: undefined };
  const open = line.subarray(0, -tailLength);
  if (leafHash(Buffer.concat([open, brace])) === stated) return { stated, format: 'second' };
  return { stated, format: hash('sha256', open) === stated ? 'first' : undefined };
}

function leafIn(format: Format, line: Buffer): Buffer {
  if (format === 'second') return Buffer.concat([line.subarray(0, -tailLength), brace]);
  // No record has a newline. Without it, a record of the second format that has lost its hash would be a leaf of the same tree.
  return format === 'first' ? line : Buffer.concat([line, newline]);
}
