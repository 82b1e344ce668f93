import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Unmount } from './constants.js';
import { SyscallError } from './syscall-error.js';
import type { Syscalls } from './syscalls.js';

/** One line of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)). */
export interface MountPoint {
  readonly id: number;
  readonly parent: number;
  /** `major:minor` of the files in it. */
  readonly device: string;
  /** The directory of the filesystem that is the root of this mount: not `/` for a bind mount of a part. */
  readonly root: string;
  readonly target: string;
  /** Words of this mount: `ro`, `nosuid`, … */
  readonly options: readonly string[];
  /** `shared:2`, `master:5`, … */
  readonly propagation: readonly string[];
  readonly type: string;
  readonly source: string;
  /** Words of the filesystem: `size=65536k`, … */
  readonly superOptions: readonly string[];
}

/** The mounts that this process sees. Another root than /proc is for tests on a copied tree. */
export function mounts(proc = '/proc'): readonly MountPoint[] {
  return parseMountTable(readFileSync(join(proc, 'self', 'mountinfo'), 'utf8'));
}

/** Throws at a line that is not mountinfo's, with its number. */
export function parseMountTable(text: string): readonly MountPoint[] {
  return text
    .split('\n')
    .map((line, index) => [line, index + 1] as const)
    .filter(([line]) => line !== '')
    .map(([line, number]) => parseLine(line, number));
}

function parseLine(line: string, number: number): MountPoint {
  const words = line.split(' ');
  // Any number of optional fields stands before a lone hyphen; the fixed ones before them are six.
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
    throw new Error(`line ${number} of the mount table is not in mountinfo's form: ${JSON.stringify(line)}`);
  return {
    id: Number(id),
    parent: Number(parent),
    device,
    root: unescape(root),
    target: unescape(target),
    options: options.split(','),
    propagation: words.slice(6, hyphen),
    type: unescape(type),
    source: unescape(source),
    superOptions: superOptions.split(',').map(unescape),
  };
}

/** The kernel writes blank, tab, newline, backslash and `#` as a backslash and three octal digits. */
function unescape(word: string): string {
  if (!word.includes('\\')) return word;
  const bytes = Buffer.from(word).toString('latin1');
  const plain = bytes.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8) & 0xff),
  );
  return Buffer.from(plain, 'latin1').toString();
}

/** Mounts at this directory or under it, each before the mount that it stands on: the order to unmount in. */
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

/** More rounds than this mean that somebody mounts there as fast as we unmount. */
const maxRounds = 64;

/**
 * Unmounts all that is mounted at this absolute directory and below, stacked and hidden mounts too. A mount in use is
 * detached: it vanishes from the tree at once, and for good when its last user has gone. Throws the kernel's error when a
 * round achieves nothing.
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
        // Hidden under a stacked mount, or gone with another one: the next round's table tells.
        refusal = error;
      }
    }
    if (!progress) throw refusal;
  }
  throw SyscallError.named('umount2', 'EBUSY', directory);
}
