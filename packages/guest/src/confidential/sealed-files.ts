import { readSync } from 'node:fs';
import { type Directory, Open } from '@kata-agent/linux';
import { sealedPrefix } from './sealed-secret.js';

/** A directory with more entries than a Secret can have is no volume of secrets. */
const maxEntries = 1_000;
const maxLinks = 8;

/**
 * Reports whether a volume has a sealed secret: an entry that is a file or leads to one in the volume, as those of a Secret do, and
 * begins as one.
 */
export async function hasSealedFile(volume: Directory): Promise<boolean> {
  const names = await volume.firstNames(maxEntries + 1);
  if (names.length > maxEntries) return false;
  return names.some((name) => {
    const path = fileOf(volume, name.toString('utf8'));
    return path !== undefined && beginsSealed(volume, path);
  });
}

/** Reports whether a file of a directory begins as a sealed secret. */
export function beginsSealed(directory: Directory, path: string): boolean {
  const file = directory.file(path, Open.ReadOnly);
  try {
    const begin = Buffer.alloc(sealedPrefix.length);
    const length = readSync(file.fd, begin, 0, begin.length, 0);
    return length === begin.length && begin.toString('latin1') === sealedPrefix;
  } finally {
    file.close();
  }
}

/** Returns the path, without links, of the file that an entry is or leads to in the volume; undefined: there is none. */
function fileOf(volume: Directory, entry: string): string | undefined {
  const left = [entry];
  const resolved: string[] = [];
  for (let links = 0; left.length > 0; ) {
    const name = left.shift() ?? '';
    if (name === '' || name === '.') continue;
    if (name === '..') {
      if (resolved.pop() === undefined) return undefined;
      continue;
    }
    const path = [...resolved, name].join('/');
    const found = volume.stat(path);
    if (found === undefined) return undefined;
    if (found.isSymbolicLink()) {
      const target = volume.readLink(path);
      links += 1;
      if (links > maxLinks || target.startsWith('/')) return undefined;
      left.unshift(...target.split('/'));
      continue;
    }
    if (left.length > 0 ? !found.isDirectory() : !found.isFile()) return undefined;
    resolved.push(name);
  }
  return resolved.length === 0 ? undefined : resolved.join('/');
}
