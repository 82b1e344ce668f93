import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Unmount } from '../syscalls/constants.js';
import { SyscallError } from '../syscalls/syscall-error.js';
import type { Syscalls } from '../syscalls/syscalls.js';

/** One line of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)). */
export interface MountPoint {
  readonly id: number;
  readonly parent: number;
  /** `major:minor` of the filesystem. */
  readonly device: string;
  /** The directory of the filesystem that is mounted: not `/` for a bind mount of a subdirectory. */
  readonly root: string;
  readonly target: string;
  /** Per-mount options: `ro`, `nosuid`, … */
  readonly options: readonly string[];
  /** `shared:2`, `master:5`, … */
  readonly propagation: readonly string[];
  readonly type: string;
  readonly source: string;
  /** Per-superblock options: `size=65536k`, … */
  readonly superOptions: readonly string[];
}

/** Returns the mounts visible to this process. `proc` is replaced in tests with a copied tree. */
export function mounts(proc = '/proc'): readonly MountPoint[] {
  return parseMountTable(readFileSync(join(proc, 'self', 'mountinfo'), 'utf8'));
}

/** Parses mountinfo. Throws at a malformed line, with its number. */
export function parseMountTable(text: string): readonly MountPoint[] {
  return text
    .split('\n')
    .map((line, index) => [line, index + 1] as const)
    .filter(([line]) => line !== '')
    .map(([line, number]) => parseLine(line, number));
}

function parseLine(line: string, number: number): MountPoint {
  const words = line.split(' ');
  // Any number of optional fields precedes a lone hyphen; six fixed fields precede them.
  const hyphen = words.indexOf('-', 6);
  const [id, parent, device, root, target, options] = words;
  const [type, source, superOptions] = hyphen < 0 ? [] : words.slice(hyphen + 1);
  if (
    id === undefined ||
    parent === undefined ||
    device === undefined ||
    root === undefined ||
    target === undefined ||
    options === undefined ||
    type === undefined ||
    source === undefined ||
    superOptions === undefined
  )
    throw new Error(`line ${number} of the mount table is malformed: ${JSON.stringify(line)}`);
  return {
    id: Number(id),
    parent: Number(parent),
    device,
    root: unescapeMountWord(root),
    target: unescapeMountWord(target),
    options: options.split(','),
    propagation: words.slice(6, hyphen),
    type: unescapeMountWord(type),
    source: unescapeMountWord(source),
    superOptions: superOptions.split(',').map(unescapeMountWord),
  };
}

/** Decodes a word of mountinfo: the kernel escapes space, tab, newline, backslash and `#` as a backslash and three octal digits. */
export function unescapeMountWord(word: string): string {
  if (!word.includes('\\')) return word;
  const bytes = Buffer.from(word).toString('latin1');
  const plain = bytes.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8) & 0xff),
  );
  return Buffer.from(plain, 'latin1').toString();
}

/** Returns the mounts at or below a directory in unmount order: each before the mount that it is mounted on. */
export function mountsBelow(directory: string, table: readonly MountPoint[]): readonly MountPoint[] {
  const byId = new Map(table.map((mount) => [mount.id, mount]));
  const depth = (mount: MountPoint): number => {
    const above = byId.get(mount.parent);
    return above === undefined || above === mount ? 0 : 1 + depth(above);
  };
  return table
    .filter(({ target }) => target === directory || target.startsWith(`${directory}/`))
    .map((mount) => [depth(mount), mount] as const)
    .sort(([a], [b]) => b - a)
    .map(([, mount]) => mount);
}

/** More rounds than this mean that new mounts appear as fast as they are unmounted. */
const maxRounds = 64;

/**
 * Unmounts everything at or below an absolute path, stacked and hidden mounts included. A busy mount is detached: it
 * disappears from the tree at once, and is released when its last user closes it. Throws the kernel's error when a
 * round unmounts nothing.
 */
export function unmountTree(syscalls: Syscalls, directory: string, proc = '/proc'): void {
  for (let round = 0; round < maxRounds; round++) {
    const below = mountsBelow(directory, mounts(proc));
    if (below.length === 0) return;
    let progress = false;
    let refusal: unknown;
    for (const { target } of below) {
      try {
        syscalls.umount2(target, Unmount.Detach | Unmount.NoFollow);
        progress = true;
      } catch (error) {
        // Hidden below a stacked mount, or unmounted with another: the next round's table shows.
        refusal = error;
      }
    }
    if (!progress) throw refusal;
  }
  throw SyscallError.named('umount2', 'EBUSY', directory);
}
