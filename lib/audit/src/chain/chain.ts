import type { TreeHash } from '@kata-agent/tlog';
import type { AuditRecord, Position, RecordBody } from '../record/record.js';
import { printableJson } from '../record/written.js';
import { isKnownRecord } from './known-record.js';
import { isTooDeep } from './nesting.js';
import { hashedLine, statedHash } from './written-record.js';

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
