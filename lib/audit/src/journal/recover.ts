import { AuditUnavailable } from '../audit-log.js';
import { genesis, positionBefore, positionOf, readRecord } from '../chain/chain.js';
import { lastLine, LineReader, LineTooLong } from '../chain/line-reader.js';
import type {
  AuditRecord,
  Position,
  RemovedSummary,
  RotatedRecord,
  Summary,
  TreeText,
} from '../record/record.js';
import { closedNumbers, openSegment, segmentPath } from '../file-layer.js';
import { Tally } from '../coalesce/tally.js';

/** A closed segment, as described by its last record, the `rotated` record. */
export interface ClosedSegment {
  readonly summary: Summary;
  /** The position of the `rotated` record itself. */
  readonly end: Position;
  /** The tree after that record; undefined if an earlier start of the agent wrote it. */
  readonly tree?: TreeText;
}

/** The state on disk when the log is opened. */
export interface Found {
  /** Bytes of complete lines in the active segment; the rest is torn. */
  readonly size: number;
  readonly tornBytes: number;
  readonly head: Position;
  /** The position at which the active segment starts. */
  readonly start: Position;
  /** The counts of the active segment. */
  readonly tally: Tally;
  /** Oldest first. */
  readonly closed: readonly ClosedSegment[];
  /** What rotation has removed so far. */
  readonly removed: RemovedSummary | undefined;
  /** The active segment ends in its `rotated` record: only the renaming is pending. */
  readonly closing: boolean;
}

/**
 * Finds the position to continue from. Only the last record of each segment is checked; `verify` checks the rest.
 *
 * @throws AuditUnavailable when a segment ends in a complete line that is not a record: the chain cannot be continued,
 * and the file is evidence.
 */
export async function recover(file: string): Promise<Found> {
  const closed: ClosedSegment[] = [];
  let newest: RotatedRecord | undefined;
  for (const number of (await closedNumbers(file)).reverse()) {
    const path = segmentPath(file, number);
    const last = await rotatedRecord(path);
    if (last === undefined) throw damaged(file, path, 'it does not end as a closed segment');
    newest = last;
    closed.push(closedBy(last));
  }

  const tally = new Tally();
  const active = await scan(file, tally);
  const { first, last } = active;
  const before = closed.at(-1)?.end ?? genesis;
  if (last?.kind === 'rotated') {
    newest = last;
    closed.push(closedBy(last));
  }
  return {
    size: active.size,
    tornBytes: active.tornBytes,
    head: last === undefined ? before : positionOf(last),
    start: first === undefined ? before : positionBefore(first),
    tally,
    closed,
    removed: newest?.removed,
    closing: last?.kind === 'rotated',
  };
}

function closedBy(record: RotatedRecord): ClosedSegment {
  return { summary: record.segment, end: positionOf(record) };
}

/** Returns the `rotated` record at the end of a segment, if there is one. */
export async function rotatedRecord(path: string): Promise<RotatedRecord | undefined> {
  const handle = await openSegment(path);
  if (handle === undefined) return undefined;
  try {
    const { line, tornBytes } = await lastLine(handle);
    if (line === undefined || tornBytes > 0) return undefined;
    const read = readRecord(line);
    return read.ok && read.record.kind === 'rotated' ? read.record : undefined;
  } catch (error) {
    if (error instanceof LineTooLong) return undefined;
    throw error;
  } finally {
    await handle.close();
  }
}

interface Scanned {
  readonly size: number;
  readonly tornBytes: number;
  readonly first: AuditRecord | undefined;
  readonly last: AuditRecord | undefined;
}

async function scan(file: string, tally: Tally): Promise<Scanned> {
  const handle = await openSegment(file);
  if (handle === undefined) return { size: 0, tornBytes: 0, first: undefined, last: undefined };
  try {
    const reader = new LineReader(handle);
    let first: AuditRecord | undefined;
    let lastLine: Buffer | undefined;
    for (let lines = await reader.next(); lines !== undefined; lines = await reader.next()) {
      for (const line of lines) {
        lastLine = line;
        const read = readRecord(line);
        if (!read.ok) continue;
        first ??= read.record;
        tally.add(read.record);
      }
    }
    const { wholeBytes: size, unfinished } = reader;
    if (lastLine === undefined) return { size, tornBytes: unfinished.length, first, last: undefined };
    const last = readRecord(lastLine);
    if (!last.ok) throw damaged(file, file, `its last line is ${last.what}`);
    return { size, tornBytes: unfinished.length, first, last: last.record };
  } catch (error) {
    if (error instanceof LineTooLong) throw damaged(file, file, error.message, error);
    throw error;
  } finally {
    await handle.close();
  }
}

function damaged(file: string, path: string, what: string, cause?: Error): AuditUnavailable {
  const remedy = `move ${file} and ${file}.* away together, as evidence, and start again`;
  return new AuditUnavailable(`audit log ${path} cannot be continued: ${what}; ${remedy}`, { cause });
}
