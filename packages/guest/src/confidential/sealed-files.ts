import { fstatSync } from 'node:fs';
import { type Descriptor, type Directory, hasCode, UnsafePathError } from '@kata-agent/linux';
import { readPrefix } from '../source/read-content.js';
import { sealedPrefix } from '@kata-agent/catalogue/sealed-secret';

/** A directory with more entries than a Secret can have is no volume of secrets. */
const maxEntries = 1_000;

/** Entries of the kubelet's own at the top of a volume: `..data`, and the directory that it leads to. */
export function isInternal(name: string): boolean {
  return name.startsWith('..');
}

/**
 * Reports whether a volume has a sealed secret: a file, or a link that leads to one in the volume, as those of a Secret do, that
 * begins as one.
 *
 * @param paths where it can be in the volume; undefined: at each entry of the volume.
 */
export async function hasSealedFile(
  volume: Directory,
  paths: readonly string[] | undefined,
): Promise<boolean> {
  const looked = paths ?? (await entriesOf(volume));
  for (const path of looked) {
    const place = reachedIn(volume, path);
    if (place === undefined) continue;
    try {
      if (await beginsSealed(place)) return true;
    } finally {
      place.close();
    }
  }
  return false;
}

/** Reports whether what a descriptor with O_PATH refers to is a file that begins as a sealed secret. */
export async function beginsSealed(place: Descriptor): Promise<boolean> {
  if (!fstatSync(place.fd).isFile()) return false;
  return (await readPrefix(place, sealedPrefix.length)).toString('latin1') === sealedPrefix;
}

/** Opens what a path leads to in a volume, with O_PATH; undefined: nothing, or something outside of it. */
export function reachedIn(volume: Directory, path: string): Descriptor | undefined {
  try {
    return volume.reached(path);
  } catch (error) {
    if (error instanceof UnsafePathError || hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV'))
      return undefined;
    throw error;
  }
}

async function entriesOf(volume: Directory): Promise<readonly string[]> {
  const names = await volume.firstNames(maxEntries + 1);
  if (names.length > maxEntries) return [];
  return names.map((name) => name.toString('utf8')).filter((name) => !isInternal(name));
}
