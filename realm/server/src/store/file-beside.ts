import type { BesideName } from './log-storage.js';
import { readOwnFile } from './own-file.js';
import { writeFileAtomically } from './write-file-atomically.js';

/** A file beside the file of a log: `HASH.checkpoint`, `HASH.tree`. */
export function fileBeside(
  path: string,
  name: BesideName,
): { read: () => Promise<string | undefined>; write: (text: string) => Promise<void> } {
  const beside = path.replace(/\.[a-z]+$/, `.${name}`);
  return {
    read: async () => (await readOwnFile(beside))?.toString(),
    write: async (text) => await writeFileAtomically(beside, text),
  };
}
