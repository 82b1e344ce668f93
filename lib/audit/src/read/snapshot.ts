import { type FileHandle, lstat } from 'node:fs/promises';
import { keptPath } from '../retention/kept-file.js';
import { closedNumbers, openSegment, segmentPath } from '../file-layer.js';

export interface OpenSegment {
  readonly path: string;
  /** The file of kept records, which is not a segment of the chain. */
  readonly kept: boolean;
  /** It has a successor, so it is no longer written to. */
  readonly closed: boolean;
  readonly handle: FileHandle;
}

const attempts = 10;

/**
 * Opens the kept records and all segments of a log, oldest first, as of one moment. A rotation in between is detected;
 * a later one renames or deletes files but does not affect open ones. The caller closes them.
 *
 * @throws Error when there is no log, or it cannot be read.
 */
export async function openSnapshot(file: string): Promise<readonly OpenSegment[]> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const segments: OpenSegment[] = [];
    let steady = false;
    try {
      const numbers = await segmentNumbers(file);
      const kept = await openSegment(keptPath(file));
      if (kept !== undefined) segments.push({ path: keptPath(file), kept: true, closed: true, handle: kept });
      for (const number of numbers) {
        const path = segmentPath(file, number);
        const handle = await openSegment(path);
        if (handle !== undefined) segments.push({ path, kept: false, closed: number > 0, handle });
      }
      steady = await unchanged(file, numbers, segments);
      if (steady && !segments.some(({ kept }) => !kept)) throw new Error(`there is no audit log at ${file}`);
      if (steady) return segments;
    } finally {
      if (!steady || !segments.some(({ kept }) => !kept)) await closeAll(segments);
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
  const kept = await lstat(keptPath(file)).catch(ignoreAbsence);
  return (kept === undefined) === !segments.some((segment) => segment.kept);
}

function ignoreAbsence(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}
