import { renameSync } from 'node:fs';
import { codeOf } from './command-line.js';

/** Renames a directory. A target that a concurrent build has created is kept, because it has the same content. */
export function renameUnlessPresent(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes(codeOf(error) ?? '')) throw error;
  }
}
