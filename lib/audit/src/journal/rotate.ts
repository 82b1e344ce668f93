import { lstat } from 'node:fs/promises';
import { genesis } from '../chain/chain.js';
import type { FileLayer } from '../files/file-layer.js';
import type { RemovedSummary, Summary } from '../record/record.js';
import { type ClosedSegment, rotatedRecord } from './recover.js';
import { closedNumbers, segmentPath } from '../files/segments.js';
import { Tally } from '../coalesce/tally.js';

/** Returns the summary of all removed records once `segments`, the oldest left, are removed too. */
export function addRemoved(
  removed: RemovedSummary | undefined,
  segments: readonly ClosedSegment[],
): Omit<RemovedSummary, 'kept'> | undefined {
  const newest = segments.at(-1);
  if (newest === undefined) return removed;
  const tally = new Tally();
  if (removed !== undefined) tally.merge(removed.counts);
  for (const segment of segments) tally.merge(segment.summary.counts);
  const { tree, end } = newest;
  return { after: genesis, last: end, counts: tally.counts(), ...(tree === undefined ? {} : { tree }) };
}

/**
 * Renames the active segment to number 1, after moving the closed ones up by one. Safe to repeat after an interruption:
 * it only moves segments below the first free number, and none once the active segment has moved.
 */
export async function renumber(file: string, files: FileLayer): Promise<void> {
  if (!(await exists(file))) return;
  const taken = new Set(await closedNumbers(file));
  let free = 1;
  while (taken.has(free)) free += 1;
  for (let number = free; number > 0; number -= 1) {
    await files.rename(segmentPath(file, number - 1), segmentPath(file, number));
  }
}

/** Deletes the closed segments that `removed` summarizes. A segment with an unexpected end is evidence and is kept. */
export async function deleteRemoved(file: string, removed: Summary, files: FileLayer): Promise<void> {
  for (const number of await closedNumbers(file)) {
    const path = segmentPath(file, number);
    const last = await rotatedRecord(path);
    if (last !== undefined && last.sequence <= removed.last.sequence) await files.unlink(path);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
