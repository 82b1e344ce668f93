import { hash } from 'node:crypto';
import type { AuditRecord, Position, RecordBody } from './record.js';
import { printableJson } from './written.js';

/**
 * A record is one line: `BODY,"hash":"HASH"}` and a newline. BODY is everything before `,"hash":"`, from the
 * opening brace on; it names the hash of the record before as `prev`. HASH is the SHA-256 of BODY's bytes, in
 * lower-case hex. So each hash covers the whole log up to its record, and an auditor needs only sha256sum.
 */
const tailPattern = /^,"hash":"([0-9a-f]{64})"\}$/;
const tailLength = ',"hash":"'.length + 64 + '"}'.length;

/** Before the first record. */
export const genesis: Position = { sequence: 0, hash: '0'.repeat(64) };

/** Longer lines are not read: a bound for readers of files that others may have written. */
export const maxLineBytes: number = 1024 * 1024;

export interface Sealed {
  /** Printable ASCII with its newline, so its length is its size in bytes. */
  readonly line: string;
  readonly position: Position;
}

/** Makes the record that follows `after`. `monotonic` is in ns, `wall` in RFC 3339. */
export function seal(
  body: RecordBody,
  after: Position,
  time: { readonly boot: string; readonly monotonic: bigint; readonly wall: string },
): Sealed {
  const sequence = after.sequence + 1;
  const envelope = `{"sequence":${sequence},"prev":"${after.hash}","boot":${JSON.stringify(time.boot)}`;
  const stamps = `"monotonic":${time.monotonic},"wall":"${time.wall}"`;
  const text = printableJson(`${envelope},${stamps},${JSON.stringify(body).slice(1, -1)}`);
  const own = hash('sha256', text);
  return { line: `${text},"hash":"${own}"}\n`, position: { sequence, hash: own } };
}

export type Read =
  | { readonly ok: true; readonly record: AuditRecord }
  | { readonly ok: false; readonly what: string };

/** Reads one line, without its newline, and checks it against its own hash. */
export function readRecord(line: Buffer): Read {
  const hashed = line.subarray(0, -tailLength);
  const own = tailPattern.exec(line.toString('latin1', hashed.length))?.[1];
  if (own === undefined) return { ok: false, what: 'not a record: it does not end in a hash' };
  if (hash('sha256', hashed) !== own)
    return { ok: false, what: 'changed: its hash does not fit its content' };
  const record = parse(line);
  return record === undefined
    ? { ok: false, what: 'not a record: the hash fits, but the content is not one of ours' }
    : { ok: true, record };
}

function parse(line: Buffer): AuditRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line.toString());
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const record = value as Partial<AuditRecord> | null;
  const complete =
    typeof record === 'object' &&
    Number.isSafeInteger(record?.sequence) &&
    typeof record?.prev === 'string' &&
    typeof record.kind === 'string' &&
    typeof record.wall === 'string';
  return complete ? (record as AuditRecord) : undefined;
}

/** The position of a record itself. */
export function positionOf(record: AuditRecord): Position {
  return { sequence: record.sequence, hash: record.hash };
}

/** The position of the record before. */
export function positionBefore(record: AuditRecord): Position {
  return { sequence: record.sequence - 1, hash: record.prev };
}
