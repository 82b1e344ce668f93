import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Creates a directory and its parents with mode 0700. An existing directory is not changed. Rejects with the system's
 * error.
 *
 * `recursive: true` of Node.js 20 is not used: it loops forever below an existing directory that accepts no entries, as
 * on procfs.
 */
export async function makeDirectory(path: string): Promise<void> {
  const missing = await make(path);
  if (missing === undefined) return;
  const above = dirname(path);
  if (above === path) throw missing;
  await makeDirectory(above);
  const refused = await make(path);
  if (refused !== undefined) throw refused;
}

/** Resolves to the error when a parent is missing. */
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
