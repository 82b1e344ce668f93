import { type FileHandle, lstat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Read, readRecord } from '../chain/chain.js';
import { lastLine, LineReader, sequenceOf } from '../chain/line-reader.js';
import { closeAll, type OpenSegment, openSnapshot } from './snapshot.js';

/**
 * Yields the records in the log, oldest first. A line that is not a record is yielded as a problem; `verify` checks the
 * chain.
 */
export async function* readLog(file: string): AsyncGenerator<Read> {
  const segments = await openSnapshot(file);
  try {
    for (const { handle } of segments) {
      const reader = new LineReader(handle);
      for (let lines = await reader.next(); lines !== undefined; lines = await reader.next())
        yield* lines.map(readRecord);
    }
  } finally {
    await closeAll(segments);
  }
}

/** Yields the same, then each new record, across rotations. */
export async function* follow(file: string, options: FollowOptions = {}): AsyncGenerator<Read> {
  for await (const lines of followLines(file, options)) yield* lines.map(readRecord);
}

export interface FollowOptions {
  /**
   * `start`: existing records, then new ones. `end`: new ones only. A number: from that sequence number on, without the
   * records that were kept of removed segments.
   */
  readonly from?: 'start' | 'end' | number;
  /** Ends the iteration without an error. */
  readonly signal?: AbortSignal;
  /** Polling interval in ms. */
  readonly intervalMs?: number;
  /**
   * Is called with true when the reader begins or continues with a segment that rotation has removed, and whose space it
   * keeps in use; with false when it has come to a segment that exists, or to the end.
   */
  readonly onBehind?: (behind: boolean) => void;
}

/**
 * Yields the lines of a log without newlines, oldest first, in groups as they are read; then each new line, across
 * rotations. Open segments stay readable after they were rotated away, and their space is not freed until then.
 */
export async function* followLines(
  file: string,
  options: FollowOptions = {},
): AsyncGenerator<readonly Buffer[], undefined> {
  const { from = 'start', signal, intervalMs = 200, onBehind } = options;
  const wanted = typeof from === 'number' ? from : 0;
  let behind = false;
  const noteBehind = (now: boolean): void => {
    if (now !== behind) onBehind?.(now);
    behind = now;
  };
  let segments = await openSnapshot(file);
  try {
    if (from === 'end') segments = await withoutFirst(segments, segments.length - 1);
    else if (typeof from === 'number')
      segments = await withoutFirst(segments, await segmentsBefore(segments, wanted));
    let [current] = segments;
    let reader: LineReader | undefined;
    while (current !== undefined) {
      if (signal?.aborted === true) return;
      reader ??= readerOf(current.handle, from === 'end' ? await endOf(current.handle) : 0);
      // Checked before reading: once a segment has a successor, it is complete.
      if (segments.length === 1) segments = [current, ...(await successors(file, current))];
      for (;;) {
        noteBehind((await current.handle.stat()).nlink === 0);
        const lines = await reader.next();
        if (lines === undefined) break;
        const found = wanted > 0 ? lines.filter((line) => (sequenceOf(line) ?? wanted) >= wanted) : lines;
        if (found.length > 0) yield found;
      }
      const next = segments[1];
      if (next !== undefined) {
        await current.handle.close();
        segments = segments.slice(1);
        current = next;
        reader = readerOf(current.handle);
      } else {
        noteBehind(false);
        // The writer truncated an incomplete write at the end of a line.
        const { size } = await current.handle.stat();
        if (size < reader.position) reader = readerOf(current.handle, Math.min(size, reader.wholeBytes));
        await pause(intervalMs, signal);
      }
    }
  } finally {
    await closeAll(segments);
  }
}

/** A follower waits most of the time, and there can be many. */
function readerOf(handle: FileHandle, position = 0): LineReader {
  return new LineReader(handle, position, 16 * 1024);
}

async function withoutFirst(
  segments: readonly OpenSegment[],
  count: number,
): Promise<readonly OpenSegment[]> {
  await closeAll(segments.slice(0, count));
  return segments.slice(count);
}

/**
 * Returns the number of segments that end before a sequence number: the next one begins at it, or before it. The file of
 * kept records counts as one.
 */
async function segmentsBefore(segments: readonly OpenSegment[], wanted: number): Promise<number> {
  for (let index = segments.length - 1; index > 0; index -= 1) {
    const segment = segments[index];
    const [line] = (segment && (await readerOf(segment.handle).next())) ?? [];
    const first = line === undefined ? undefined : sequenceOf(line);
    if (first !== undefined && first <= wanted) return index;
  }
  return segments[0]?.kept === true ? 1 : 0;
}

/** Returns the offset after the last newline. */
async function endOf(handle: FileHandle): Promise<number> {
  const { end } = await lastLine(handle);
  return end;
}

/** Returns the segments after this one, oldest first; all remaining ones if it was removed. */
async function successors(file: string, current: OpenSegment): Promise<readonly OpenSegment[]> {
  const { ino } = await current.handle.stat();
  const named = await lstat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (named === undefined || named.ino === ino) return [];
  const segments = await openSnapshot(file);
  let from = 0;
  for (const [index, { handle }] of segments.entries()) {
    if ((await handle.stat()).ino === ino) from = index + 1;
  }
  // The kept records were already read, or are older than requested.
  if (from === 0 && segments[0]?.kept === true) from = 1;
  await closeAll(segments.slice(0, from));
  return segments.slice(from);
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
}
