import { readFile } from 'node:fs/promises';
import { isAbsent, count, parseTable } from './cgroup-files.js';

/**
 * Reads of statistics, in a thread of Node's pool: the kernel can delay them, as those of a cgroup that is being
 * removed, and the agent's main thread serves other calls meanwhile. One file after another: a read that is delayed
 * occupies one thread of the pool.
 */
export async function readStats(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** A file that holds one number, or `max`. Absent: 0. */
export async function readCount(path: string): Promise<bigint> {
  return count((await readStats(path))?.trim());
}

/** A file of `name value` lines. Absent: no names. */
export async function readStatsTable(path: string): Promise<Readonly<Record<string, bigint>>> {
  return parseTable(await readStats(path));
}
