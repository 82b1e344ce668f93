import { checkCheckpoint, type TrustedCheckpoint } from '../tree/checkpoint-check.js';
import { TreeReader } from '../tree/tree-reader.js';
import { ChainCheck } from './chain-check.js';
import { LineReader, LineTooLong } from '../chain/line-reader.js';
import { KeptCheck } from './kept-check.js';
import { nextKeptPath } from '../retention/kept-file.js';
import type { AuditRecord, Position } from '../record/record.js';
import { readRecord } from '../chain/chain.js';
import { openSegment } from '../file-layer.js';
import { closeAll, type OpenSegment, openSnapshot } from './snapshot.js';
import type { VerifyReport } from './verify-report.js';

export interface VerifyOptions {
  /**
   * An externally stored head. Without one, a truncated log looks like a shorter log. It proves the records up to its own: that
   * rotation removed some, or retained others, must be said by one of these, or covered by the checkpoint (S45).
   */
  readonly head?: Position | undefined;
  /** A checkpoint of one start of the agent. */
  readonly checkpoint?: TrustedCheckpoint | undefined;
  /**
   * Is called for each line, also of the records that rotation kept, with its record; undefined: it has none. What a caller says of
   * records that were verified must be of these, since a file can be exchanged before it is read again.
   */
  readonly each?: ((record: AuditRecord | undefined) => void) | undefined;
}

/**
 * Checks every record of a log, even while it is being written.
 *
 * A chain detects changes, not forgery: anyone who can write the file can write a new chain. Only an externally stored
 * head detects that.
 *
 * @throws Error when there is no log, or it cannot be read.
 */
export async function verify(file: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  const segments = await openSnapshot(file);
  const check = new ChainCheck(options.head);
  const reader = options.checkpoint === undefined ? undefined : new TreeReader();
  let inPlace: KeptCheck | undefined;
  let unfinishedBytes = 0;
  try {
    for (const segment of segments) {
      if (segment.kept) {
        inPlace = await checkKept(segment, options.head, options.each);
        continue;
      }
      const unfinished = await checkSegment(segment, check, reader, options.each);
      if (!segment.closed) unfinishedBytes = unfinished;
    }
  } finally {
    await closeAll(segments);
  }
  check.end({ inPlace, next: await checkNextKept(file, options.head) });
  const checkpoint = options.checkpoint && checkCheckpoint(options.checkpoint, reader?.trees() ?? [], check);
  // A sound checkpoint covers what rotation has removed.
  if (checkpoint === undefined) check.checkProvenByHead();
  return {
    ok: check.problems.length === 0 && checkpoint?.problem === undefined,
    ...(checkpoint === undefined ? {} : { checkpoint }),
    records: check.records,
    first: check.first,
    last: check.first === undefined ? undefined : check.head.sequence,
    head: check.head,
    segments: segments.filter((segment) => !segment.kept).map(({ path }) => path),
    removed: check.removed?.last.sequence ?? 0,
    kept: inPlace?.records ?? 0,
    unfinishedBytes,
    problems: check.problems,
    unlisted: check.unlisted,
  };
}

/** After an interrupted rotation the kept records are not in place yet. */
async function checkNextKept(file: string, anchor: Position | undefined): Promise<KeptCheck | undefined> {
  const path = nextKeptPath(file);
  const handle = await openSegment(path);
  if (handle === undefined) return undefined;
  try {
    return await checkKept({ path, handle }, anchor);
  } finally {
    await handle.close();
  }
}

async function checkKept(
  { path, handle }: Pick<OpenSegment, 'path' | 'handle'>,
  anchor: Position | undefined,
  each?: VerifyOptions['each'],
): Promise<KeptCheck> {
  const check = new KeptCheck(path, anchor);
  const reader = new LineReader(handle);
  try {
    for (let lines = await reader.next(); lines !== undefined; lines = await reader.next()) {
      for (const line of lines) {
        check.line(line);
        if (each === undefined) continue;
        const read = readRecord(line);
        each(read.ok ? read.record : undefined);
      }
    }
  } catch (error) {
    if (!(error instanceof LineTooLong)) throw error;
  }
  check.end(reader.unfinished);
  return check;
}

/** Returns the bytes of an incomplete last line. */
async function checkSegment(
  { path, closed, handle }: OpenSegment,
  check: ChainCheck,
  trees: TreeReader | undefined,
  each: VerifyOptions['each'],
): Promise<number> {
  check.beginSegment(path);
  const reader = new LineReader(handle);
  try {
    for (let lines = await reader.next(); lines !== undefined; lines = await reader.next()) {
      for (const line of lines) {
        const record = check.line(line);
        trees?.line(line, record);
        each?.(record);
      }
    }
    check.endSegment(reader.unfinished, closed);
    return reader.unfinished.length;
  } catch (error) {
    if (!(error instanceof LineTooLong)) throw error;
    check.unreadable(`${error.message}: the rest of the segment is not read`);
    return 0;
  }
}
