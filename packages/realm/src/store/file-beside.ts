import { readFile } from 'node:fs/promises';
import type { BesideName } from './log-storage.js';
import { writeFileAtomically } from './write-file-atomically.js';

/** A file beside the file of a log: `HASH.checkpoint`, `HASH.tree`. */
export function fileBeside(
  path: string,
  name: BesideName,
): { read: () => Promise<string | undefined>; write: (text: string) => Promise<void> } {
  const beside = path.replace(/\.[a-z]+$/, `.${name}`);
  return {
    read: async () =>
      await readFile(beside, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      }),
    write: async (text) => await writeFileAtomically(beside, text),
  };
}
