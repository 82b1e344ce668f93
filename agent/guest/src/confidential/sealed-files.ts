import { fstatSync } from 'node:fs';
import { isSealed, sealedPrefix } from '@kata-agent/catalogue/sealed-secret';
import { type Descriptor, Directory, hasCode, type Syscalls, UnsafePathError } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { quotedPath } from '../quoted.js';
import { type Content, readContent, readPrefix } from '../source/read-content.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Reports whether a volume, which is lent, has a sealed secret at its top. */
    readonly hasSealedFile: (args: object) => boolean;
    /** Reads a volume with sealed secrets, which is lent. `named`: for errors. */
    readonly readVolume: (args: { readonly named: string }) => readonly VolumeEntry[];
  }
}

/** Bounds of a volume with sealed secrets: of Kubernetes, a Secret has at most 1 MiB. */
const maxEntries = 1_000;
const maxBytes = 16 * 1024 * 1024;
const maxDepth = 8;

/** An entry of a volume, by its path in it: a file with its content, or a directory, which precedes what is in it. */
export type VolumeEntry = { readonly path: string } & (
  | { readonly file: Content }
  | { readonly directory: { readonly uid: number; readonly gid: number; readonly mode: number } }
);

/** Entries of the kubelet's own at the top of a volume: `..data`, and the directory that it leads to. */
function isInternal(name: string): boolean {
  return name.startsWith('..');
}

/**
 * Reports whether a volume has a sealed secret at its top: a file, or a link that leads to one in the volume, as those of a Secret do,
 * that begins as one.
 */
export function hasSealedFile(volume: Directory): boolean {
  return entriesOf(volume).some((path) => {
    const place = reachedIn(volume, path);
    if (place === undefined) return false;
    try {
      return beginsSealed(place);
    } finally {
      place.close();
    }
  });
}

/** Reports whether what a descriptor with O_PATH refers to is a file that begins as a sealed secret. */
function beginsSealed(place: Descriptor): boolean {
  if (!fstatSync(place.fd).isFile()) return false;
  return isSealed(readPrefix(place, sealedPrefix.length).toString('latin1'));
}

/** Opens what a path leads to in a volume, with O_PATH; undefined: nothing, or something outside of it. */
function reachedIn(volume: Directory, path: string): Descriptor | undefined {
  try {
    return volume.reached(path);
  } catch (error) {
    if (error instanceof UnsafePathError || hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV'))
      return undefined;
    throw error;
  }
}

function entriesOf(volume: Directory): readonly string[] {
  const names = volume.firstNamesHere(maxEntries + 1);
  if (names.length > maxEntries) return [];
  return names.map((name) => name.toString('utf8')).filter((name) => !isInternal(name));
}

interface Reading {
  readonly syscalls: Syscalls;
  /** For messages. */
  readonly named: string;
  /** Called for each entry. */
  readonly progress: () => void;
}

/**
 * Reads a volume as a container sees it. Links become what they lead to in the volume, and those that lead out of it are left out.
 *
 * @throws GuestError `exhausted` if it is too large.
 */
export function readVolume(volume: Directory, reading: Reading): readonly VolumeEntry[] {
  const found: VolumeEntry[] = [];
  const left = { entries: maxEntries, bytes: maxBytes };
  readBelow(
    volume,
    { path: '', names: volume.firstNamesHere(maxEntries + 1), depth: 0 },
    { ...reading, left, found },
  );
  return found;
}

interface Progress extends Reading {
  readonly left: { entries: number; bytes: number };
  readonly found: VolumeEntry[];
}

interface Level {
  /** In the volume. */
  readonly path: string;
  readonly names: readonly Buffer[];
  readonly depth: number;
}

function readBelow(volume: Directory, { path, names, depth }: Level, reading: Progress): void {
  const { named, left, found, syscalls } = reading;
  if (depth > maxDepth) throw tooLarge(named, `is more than ${maxDepth} directories deep`);
  left.entries -= names.length;
  if (left.entries < 0) throw tooLarge(named, `has more than ${maxEntries} entries`);
  for (const name of names.map((bytes) => bytes.toString('utf8'))) {
    if (path === '' && isInternal(name)) continue;
    reading.progress();
    const below = path === '' ? name : `${path}/${name}`;
    const place = reachedIn(volume, below);
    if (place === undefined) continue;
    try {
      const stat = fstatSync(place.fd);
      if (stat.isDirectory()) {
        found.push({ path: below, directory: { uid: stat.uid, gid: stat.gid, mode: stat.mode & 0o7777 } });
        const inner = Directory.of(syscalls, place.duplicate());
        try {
          const level = { path: below, names: inner.firstNamesHere(left.entries + 1), depth: depth + 1 };
          readBelow(volume, level, reading);
        } finally {
          inner.close();
        }
      } else if (stat.isFile()) {
        const file = readContent(place, left.bytes, `${named}, ${quotedPath(below)},`);
        left.bytes -= file.bytes.length;
        found.push({ path: below, file });
      }
    } finally {
      place.close();
    }
  }
}

function tooLarge(named: string, what: string): GuestError {
  return new GuestError(
    'exhausted',
    `${named} has a sealed secret and ${what}; help: mount it without the other files`,
  );
}
