import { readFileSync } from 'node:fs';
import { namedPaths, pathInRoot } from '@kata-agent/config';
import type { FileEntry } from './tree/entry.js';

/**
 * Returns the files that a configuration names, read below `guestRoot`. Throws an Error with a remedy if one is not there.
 */
export function namedFiles(config: string | undefined, guestRoot: string | undefined): readonly FileEntry[] {
  if (config === undefined) return [];
  return namedPaths(readFileSync(config)).map(({ key, file }) => {
    if (guestRoot === undefined)
      throw new Error(
        `${config}: ${key} names ${file}, which the image needs\nhelp: pass --root DIR, with the file at DIR${file}`,
      );
    // The agent rejects a file that others can write, and needs no other mode.
    return { path: file, data: read(guestRoot, file, key), mode: 0o600 };
  });
}

function read(guestRoot: string, file: string, key: string): Buffer {
  try {
    return readFileSync(pathInRoot(guestRoot, file));
  } catch (error) {
    throw new Error(`${key}: cannot read ${file} below ${guestRoot}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
