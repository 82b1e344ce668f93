import { positionBefore, positionOf, type Read, readRecord } from '../chain/chain.js';
import type { AuditRecord, Position } from '../record/record.js';

/**
 * Parses lines as they arrive from another machine, and checks that each record follows the one before. A line that is
 * not a record, or that does not follow, is yielded as a problem; a record after missing ones is yielded too. With
 * `from`, the sequence number that was requested, records before the first that arrives are missing too.
 */
export async function* linkedRecords(
  groups: AsyncIterable<readonly Uint8Array[]>,
  from?: number,
): AsyncGenerator<Read, void> {
  let last: Position | undefined;
  for await (const lines of groups) {
    for (const line of lines) {
      const read = readRecord(Buffer.from(line.buffer, line.byteOffset, line.length));
      if (read.ok) {
        const what = last === undefined ? missingFirst(from, read.record) : brokenLink(last, read.record);
        if (what !== undefined) yield { ok: false, what };
        last = positionOf(read.record);
      }
      yield read;
    }
  }
}

function brokenLink(last: Position, record: AuditRecord): string | undefined {
  const before = positionBefore(record);
  if (before.sequence > last.sequence) return missing(last.sequence + 1, record);
  if (before.sequence < last.sequence)
    return `record ${record.sequence}: out of order or repeated after record ${last.sequence}`;
  return before.hash === last.hash
    ? undefined
    : `record ${record.sequence}: it does not contain the hash of record ${last.sequence}`;
}

function missingFirst(from: number | undefined, record: AuditRecord): string | undefined {
  return from !== undefined && record.sequence > from ? missing(from, record) : undefined;
}

function missing(first: number, { sequence }: AuditRecord): string {
  return `record ${sequence}: records ${first} to ${sequence - 1} are missing; rotation removed them, or they were withheld`;
}
