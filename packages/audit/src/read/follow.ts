import { type FileHandle, lstat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Read, readRecord } from '../chain/chain.js';
import { lastLine } from '../journal/last-line.js';
import { LineReader } from './line-reader.js';
import { closeAll, type OpenSegment, openSnapshot } from './snapshot.js';

export interface FollowOptions {
  /** `start`: existing records, then new ones. `end`: new ones only. */
  readonly from?: 'start' | 'end';
  /** Ends the iteration without an error. */
  readonly signal?: AbortSignal;
  /** Polling interval in ms. */
  readonly intervalMs?: number;
}

/**
 * Yields the records in the log, oldest first. A line that is not a record is yielded as a problem; `verify` checks the
 * chain.
 */
export async function* readLog(file: string): AsyncGenerator<Read> {
  const segments = await openSnapshot(file);
  try {
    for (const { handle } of segments) yield* linesOf(new LineReader(handle));
  } finally {
    await closeAll(segments);
  }
}

/** Yields the same, then each new record, across rotations. */
export async function* follow(file: string, options: FollowOptions = {}): AsyncGenerator<Read> {
  const { from = 'start', signal, intervalMs = 200 } = options;
  let segments = await openSnapshot(file);
  try {
    if (from === 'end') {
      const earlier = segments.slice(0, -1);
      segments = segments.slice(-1);
      await closeAll(earlier);
    }
    let [current] = segments;
    let reader: LineReader | undefined;
    while (current !== undefined) {
      if (signal?.aborted === true) return;
      reader ??= new LineReader(current.handle, from === 'end' ? await endOf(current.handle) : 0);
      // Checked before reading: once a segment has a successor, it is complete.
      if (segments.length === 1) segments = [current, ...(await successors(file, current))];
      yield* linesOf(reader);
      const next = segments[1];
      if (next !== undefined) {
        await current.handle.close();
        segments = segments.slice(1);
        current = next;
        reader = new LineReader(current.handle);
      } else {
        // The writer truncated an incomplete write at the end of a line.
        const { size } = await current.handle.stat();
        if (size < reader.position)
          reader = new LineReader(current.handle, Math.min(size, reader.wholeBytes));
        await pause(intervalMs, signal);
      }
    }
  } finally {
    await closeAll(segments);
  }
}

async function* linesOf(reader: LineReader): AsyncGenerator<Read> {
  for (let lines = await reader.next(); lines !== undefined; lines = await reader.next()) {
    yield* lines.map(readRecord);
  }
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
