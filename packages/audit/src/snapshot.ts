import { type FileHandle, lstat } from 'node:fs/promises';
import { closedNumbers, openSegment, segmentPath } from './segments.js';

export interface OpenSegment {
  readonly path: string;
  /** It has a successor, so nothing is written to it any more. */
  readonly closed: boolean;
  readonly handle: FileHandle;
}

const attempts = 10;

/**
 * Opens all segments of a log, oldest first, as they stood at one moment: a rotation in between is noticed, and
 * one that comes later moves or deletes names, not what is open. The caller closes them.
 *
 * @throws Error when there is no log, or it cannot be read.
 */
export async function openSnapshot(file: string): Promise<readonly OpenSegment[]> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const segments: OpenSegment[] = [];
    let steady = false;
    try {
      const numbers = await segmentNumbers(file);
      for (const number of numbers) {
        const path = segmentPath(file, number);
        const handle = await openSegment(path);
        if (handle !== undefined) segments.push({ path, closed: number > 0, handle });
      }
      steady = await unchanged(file, numbers, segments);
      if (steady && segments.length === 0) throw new Error(`there is no audit log at ${file}`);
      if (steady) return segments;
    } finally {
      if (!steady || segments.length === 0) await closeAll(segments);
    }
  }
  throw new Error(`audit log ${file} is rotated faster than it can be opened; try again`);
}

export async function closeAll(segments: readonly OpenSegment[]): Promise<void> {
  for (const { handle } of segments) await handle.close();
}

async function segmentNumbers(file: string): Promise<number[]> {
  return [...(await closedNumbers(file)).reverse(), 0];
}

async function unchanged(
  file: string,
  numbers: readonly number[],
  segments: readonly OpenSegment[],
): Promise<boolean> {
  const now = await segmentNumbers(file);
  if (now.join() !== numbers.join()) return false;
  for (const { path, handle } of segments) {
    const opened = await handle.stat();
    const named = await lstat(path).catch(ignoreAbsence);
    if (named?.ino !== opened.ino || named.dev !== opened.dev) return false;
  }
  return true;
}

function ignoreAbsence(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}
