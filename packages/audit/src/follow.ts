import { type FileHandle, lstat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Read, readRecord } from './chain.js';
import { lastLine } from './last-line.js';
import { LineReader } from './line-reader.js';
import { closeAll, type OpenSegment, openSnapshot } from './snapshot.js';

export interface FollowOptions {
  /** `start`: what is there, then what comes. `end`: only what comes. */
  readonly from?: 'start' | 'end';
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
  /** How often to look, in ms. */
  readonly intervalMs?: number;
}

/**
 * What is in the log now, oldest first. A line that is not a record comes as what is wrong with it; whether the
 * records follow each other is for `verify` to say.
 */
export async function* readLog(file: string): AsyncGenerator<Read> {
  const segments = await openSnapshot(file);
  try {
    for (const { handle } of segments) yield* linesOf(new LineReader(handle));
  } finally {
    await closeAll(segments);
  }
}

/** The same, and then each record as it is written, across rotations. */
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
      // Asked before reading: once it has a successor, what is read from a segment is all of it.
      if (segments.length === 1) segments = [current, ...(await successors(file, current))];
      yield* linesOf(reader);
      const next = segments[1];
      if (next !== undefined) {
        await current.handle.close();
        segments = segments.slice(1);
        current = next;
        reader = new LineReader(current.handle);
      } else {
        // The writer cut away what it could not write whole, from a line's end on.
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

/** Offset behind the last newline. */
async function endOf(handle: FileHandle): Promise<number> {
  const { end } = await lastLine(handle);
  return end;
}

/** The segments that came after this one, oldest first; all that are left if it is gone itself. */
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
  // What was kept of older segments was read, or is older than what was asked for.
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
