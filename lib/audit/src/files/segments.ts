import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

/** The active segment is number 0 and has the log's path; closed ones are `.1` (the newest), `.2` … */
export function segmentPath(file: string, number: number): string {
  return number === 0 ? file : `${file}.${number}`;
}

/** Returns the numbers of the existing closed segments, newest first. */
export async function closedNumbers(file: string): Promise<number[]> {
  const prefix = `${basename(file)}.`;
  const names = await readdir(dirname(file));
  return names
    .filter((name) => name.startsWith(prefix) && /^[1-9]\d{0,5}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => a - b);
}

/** Opens a segment for reading; undefined if it does not exist. */
export async function openSegment(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
