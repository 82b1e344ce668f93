import { lstat } from 'node:fs/promises';
import { genesis } from './chain.js';
import type { FileLayer } from './file-layer.js';
import type { Summary } from './record.js';
import { type ClosedSegment, rotatedRecord } from './recover.js';
import { closedNumbers, segmentPath } from './segments.js';
import { Tally } from './tally.js';

/** What is gone once `segments`, the oldest that are left, are gone too. */
export function addRemoved(
  removed: Summary | undefined,
  segments: readonly ClosedSegment[],
): Summary | undefined {
  const newest = segments.at(-1);
  if (newest === undefined) return removed;
  const tally = new Tally();
  if (removed !== undefined) tally.merge(removed.counts);
  for (const segment of segments) tally.merge(segment.summary.counts);
  return { after: genesis, last: newest.end, counts: tally.counts() };
}

/**
 * Gives the active segment the number 1, after moving the closed ones up by one. Done again after it was
 * interrupted, it goes on: it only moves segments that stand before the first free number, and nothing once the
 * active one has moved.
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

/**
 * Deletes the closed segments that `removed` stands for. One that does not end as it should is evidence: it stays.
 */
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
