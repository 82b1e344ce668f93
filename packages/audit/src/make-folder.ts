import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it, for us alone. One that is there stays as it is.
 *
 * Not by `recursive: true` of Node 20: that repeats itself for ever below a folder which is there and takes no other,
 * as on procfs. Rejects with the error of the system.
 */
export async function makeFolder(path: string): Promise<void> {
  const missing = await make(path);
  if (missing === undefined) return;
  const above = dirname(path);
  if (above === path) throw missing;
  await makeFolder(above);
  const refused = await make(path);
  if (refused !== undefined) throw refused;
}

/** Resolves with the error where something above is missing. */
async function make(path: string): Promise<Error | undefined> {
  try {
    await mkdir(path, { mode: 0o700 });
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return undefined;
    if (code === 'ENOENT' && error instanceof Error) return error;
    throw error;
  }
}
