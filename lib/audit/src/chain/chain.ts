import { leafHash, type TreeHash } from '@kata-agent/tlog';
import type { AuditRecord, Position, RecordBody } from '../record/record.js';
import { printableJson } from '../record/written.js';
import { isKnownRecord, isTooDeep } from './known-record.js';

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

/** The position before the first record. */
export const genesis: Position = { sequence: 0, hash: '0'.repeat(64) };

/** Longer lines are not read, to bound the memory of readers of untrusted files. */
export const maxLineBytes: number = 1024 * 1024;

export interface Sealed {
  /** Printable ASCII including the newline, so its length is its size in bytes. */
  readonly line: string;
  readonly position: Position & { readonly hash: TreeHash };
}

/**
 * Encodes the record that follows `after`: one line, whose `prev` is the hash of the record before it, so that each hash covers the
 * whole log up to its record. `monotonic` is in ns, `wall` in RFC 3339.
 */
export function seal(
  body: RecordBody,
  after: Position,
  time: { readonly boot: string; readonly monotonic: bigint; readonly wall: string },
): Sealed {
  const sequence = after.sequence + 1;
  const envelope = `{"sequence":${sequence},"prev":"${after.hash}","boot":${JSON.stringify(time.boot)}`;
  const stamps = `"monotonic":${time.monotonic},"wall":"${time.wall}"`;
  const text = printableJson(`${envelope},${stamps},${JSON.stringify(body).slice(1, -1)}`);
  const { line, hash } = hashedLine(text);
  return { line: `${line}\n`, position: { sequence, hash } };
}

export type Read =
  /** `line` is what the record was parsed from: not every line is what JSON writes of its record. */
  | { readonly ok: true; readonly record: AuditRecord; readonly line: Buffer }
  | { readonly ok: false; readonly what: string };

/** Parses one line, without its newline, and checks its hash. */
export function readRecord(line: Buffer): Read {
  const { stated, matches } = statedHash(line);
  if (stated === undefined) return { ok: false, what: 'not a record: it does not end in a hash' };
  if (!matches) return { ok: false, what: 'changed: its hash does not match its content' };
  const record = parse(line);
  return record === undefined
    ? { ok: false, what: 'not a record: the hash matches, but the content is not a known record' }
    : { ok: true, record, line };
}

function parse(line: Buffer): AuditRecord | undefined {
  if (isTooDeep(line)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line.toString());
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  return isKnownRecord(value) ? value : undefined;
}

/** Returns the position of a record. */
export function positionOf(record: AuditRecord): Position {
  return { sequence: record.sequence, hash: record.hash };
}

/** Returns the position of the previous record. */
export function positionBefore(record: AuditRecord): Position {
  return { sequence: record.sequence - 1, hash: record.prev };
}

/** Returns the line, without its newline, of a record of printable ASCII, and its hash. `open`: without its last brace. */
export function hashedLine(open: string): { readonly line: string; readonly hash: TreeHash } {
  const own = leafHash(`${open}}`);
  return { line: `${open},"hash":"${own}"}`, hash: own };
}

/** The hashes of a line. */
interface LineHashes {
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
function statedHash(line: Buffer): Pick<LineHashes, 'stated' | 'matches'> {
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
