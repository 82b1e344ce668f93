import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { inParallel } from '@kata-agent/base';

/** The directory of a guest. */
export interface ScannedGuest {
  readonly id: string;
  /** Of its logs and notes. */
  readonly bytes: number;
  /** When it connected last: each connection replaces a file. Milliseconds of the epoch. */
  readonly time: number;
}

const atOnce = 16;

/** Reads the sizes of all that is stored of guests. What is moved away meanwhile is left out. */
export async function scanGuests(directory: string): Promise<readonly ScannedGuest[]> {
  const names = (await namesIn(directory)).filter((name) => /^[0-9a-f]{64}$/.test(name));
  const found: ScannedGuest[] = [];
  await inParallel(names, atOnce, async (id) => {
    const guest = await scan(id, join(directory, id));
    if (guest !== undefined) found.push(guest);
  });
  return found;
}

async function scan(id: string, directory: string): Promise<ScannedGuest | undefined> {
  try {
    const { mtimeMs: time } = await stat(directory);
    let bytes = 0;
    for (const name of await readdir(directory))
      if (name === 'notes' || name.endsWith('.log')) bytes += (await stat(join(directory, name))).size;
    return { id, bytes, time };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}
