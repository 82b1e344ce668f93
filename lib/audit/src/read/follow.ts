import { type Read, readRecord } from '../chain/chain.js';
import { type FollowOptions, followLines } from './follow-lines.js';
import { LineReader } from '../chain/line-reader.js';
import { closeAll, openSnapshot } from './snapshot.js';

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
