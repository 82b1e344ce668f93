import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { type Descriptor, type Directory, hasCode, Open } from '@kata-agent/linux';
import { TooLargeToMirror } from '../../guest-error.js';

/** Limits of Kata's agent (src/agent/src/watcher.rs, 4.1): a source above them is bind mounted and not copied. */
export const kataLimits: MirrorLimits = { entries: 16, bytes: 1024 * 1024 };

/**
 * Limits of a source that grows while it is followed. Kata's agent mounts a source over the copies once it is above
 * `kataLimits`, which a container with private mounts does not see: its copies would never change again.
 */
export const grownLimits: MirrorLimits = { entries: 256, bytes: 8 * 1024 * 1024 };

declare module '../../media/host-media.js' {
  interface MediaTasks {
    /** Of what is lent. */
    readonly attributesOf: (args: object) => FileState;
    /** Copies what has changed. Lent: the source, the copy. */
    readonly mirrorDirectory: (args: {
      readonly state: MirrorState;
      readonly limits: MirrorLimits;
    }) => MirrorState;
    /** Lists a copy that an earlier agent made. Lent: the copy. */
    readonly listMirror: (args: object) => MirrorState;
  }
}

/** Deeper than any configmap; ends a loop of mounts. */
const maxDepth = 8;

/** What is compared of a file. */
export interface FileState {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly size: number;
  readonly ino: number;
}

/** An entry of a mirrored directory; plain data, which a thread can send. */
export interface MirrorEntry {
  readonly kind: 'directory' | 'file' | 'link';
  readonly stats: FileState;
  /** The target of a symbolic link; empty for others. */
  readonly target: string;
}

/** What a mirror knows of its source; plain data. */
export interface MirrorState {
  readonly known: ReadonlyMap<string, MirrorEntry>;
  readonly root: FileState | undefined;
}

/**
 * Keeps a directory in sync with another one that gives no change notifications. Preserves the order that Kubernetes
 * guarantees for a configmap: new files are created first, then the symbolic link is replaced atomically, then old
 * files are removed.
 */
export class Mirror {
  #known: ReadonlyMap<string, MirrorEntry>;
  /** Of the directory itself. */
  #root: FileState | undefined;

  /** `state`: that of an earlier update. */
  constructor({ known, root }: MirrorState = { known: new Map(), root: undefined }) {
    this.#known = known;
    this.#root = root;
  }

  /** The state after the last update. */
  get state(): MirrorState {
    return { known: this.#known, root: this.#root };
  }

  /**
   * Existing content of `to` is from an earlier mirror: it is compared in full, and entries that have gone since are
   * removed.
   */
  async adopt(to: Directory): Promise<void> {
    this.#known = await scan(to, grownLimits);
  }

  /** Reports whether it is above `kataLimits`. */
  get isLarge(): boolean {
    return isLargeMirror(this.#known);
  }

  /**
   * Syncs `to` with `from`, and returns how many entries changed. The directory itself gets mode and owner too. Throws
   * TooLargeToMirror.
   *
   * @param commit is called before each change of `to`, and throws if the update has been given up
   */
  async update(
    from: Directory,
    to: Directory,
    limits: MirrorLimits = kataLimits,
    commit: () => void = () => undefined,
  ): Promise<number> {
    const found = await scan(from, limits);
    const root = stateOf(fstatSync(from.fd));
    commit();
    this.#updateRoot(root, to);
    const changed = [...found].filter(([path, entry]) => differs(this.#known.get(path), entry));
    const gone = [...this.#known.keys()].filter((path) => !found.has(path));
    for (const [path, entry] of changed) if (entry.kind === 'directory') await putDirectory(path, entry, to);
    for (const [path, entry] of changed)
      if (entry.kind === 'file') await putFile(path, entry, { from, to, limits, commit });
    commit();
    for (const [path, entry] of changed) if (entry.kind === 'link') await putLink(path, entry, to);
    for (const path of gone.reverse()) await to.removeTree(path);
    this.#known = found;
    return changed.length + gone.length;
  }

  #updateRoot(root: FileState, to: Directory): void {
    if (this.#root !== undefined && !attributesDiffer(this.#root, root)) return;
    to.changeOwnerOfSelf(root.uid, root.gid);
    to.changeMode(root.mode & 0o7777);
    this.#root = root;
  }
}

/** Reports whether a mirrored directory is above `kataLimits`. */
export function isLargeMirror(known: ReadonlyMap<string, MirrorEntry>): boolean {
  const files = [...known.values()].filter(({ kind }) => kind !== 'directory');
  const bytes = files.reduce((sum, { stats }) => sum + stats.size, 0);
  return known.size > kataLimits.entries || bytes > kataLimits.bytes;
}

/**
 * Lists everything below a directory by path, parents first. Stops reading at the limit: a container may fill the
 * directory.
 */
async function scan(root: Directory, limits: MirrorLimits): Promise<ReadonlyMap<string, MirrorEntry>> {
  const found = new Map<string, MirrorEntry>();
  let bytes = 0;
  let left = limits.entries;
  const visit = async (directory: Directory, prefix: string, depth: number): Promise<void> => {
    if (depth > maxDepth) throw new TooLargeToMirror(`more than ${maxDepth} levels of directories`);
    const names = directory.firstNamesHere(left + 1);
    left -= names.length;
    if (left < 0) throw new TooLargeToMirror(`more than ${limits.entries} entries`);
    for (const name of names.map(String)) {
      const stats = directory.stat(name);
      if (stats === undefined) continue;
      const path = prefix + name;
      const kind = kindOf(stats);
      if (kind === undefined) continue;
      const target = kind === 'link' ? directory.readLink(name) : '';
      if (kind === 'link' && !staysBelow(target, depth)) continue;
      found.set(path, { kind, stats: stateOf(stats), target });
      if (kind !== 'directory') bytes += stats.size;
      if (bytes > limits.bytes) throw new TooLargeToMirror(`more than ${limits.bytes} bytes`);
      if (kind !== 'directory') continue;
      const inner = directory.directory(name);
      try {
        await visit(inner, `${path}/`, depth + 1);
      } finally {
        inner.close();
      }
    }
  };
  await visit(root, '', 0);
  return found;
}

/**
 * Reports whether a link in a directory of this depth leads to a place of its volume, whatever other links it passes that do: it is
 * relative, and climbs first, over paths that are not directories, and no further than to the volume. A link of the host that leads
 * elsewhere would be another file of the container's root or of another volume: it is not copied. Kubernetes' own (`..data/key`)
 * stay.
 */
function staysBelow(target: string, depth: number): boolean {
  if (target.startsWith('/')) return false;
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const down = parts.findIndex((part) => part !== '..');
  const climbs = down === -1 ? parts.length : down;
  return climbs <= depth && !parts.slice(climbs).includes('..');
}

/** Returns what is compared of a file. */
export function stateOf({ mode, uid, gid, mtimeMs, ctimeMs, size, ino }: FileState): FileState {
  return { mode, uid, gid, mtimeMs, ctimeMs, size, ino };
}

/** Undefined for sockets, FIFOs and devices, which are not copied: they are of no use to a container. */
function kindOf(stats: Stats): MirrorEntry['kind'] | undefined {
  if (stats.isDirectory()) return 'directory';
  if (stats.isFile()) return 'file';
  return stats.isSymbolicLink() ? 'link' : undefined;
}

function differs(before: MirrorEntry | undefined, now: MirrorEntry): boolean {
  if (before === undefined || before.kind !== now.kind || before.target !== now.target) return true;
  const attributes = attributesDiffer(before.stats, now.stats);
  // A directory's mtime reflects changes in it, which are compared by themselves.
  if (now.kind === 'directory') return attributes;
  return (
    attributes ||
    (['mtimeMs', 'ctimeMs', 'size', 'ino'] as const).some((name) => before.stats[name] !== now.stats[name])
  );
}

function attributesDiffer(before: FileState, now: FileState): boolean {
  return (['mode', 'uid', 'gid'] as const).some((name) => before[name] !== now[name]);
}

async function putDirectory(path: string, { stats }: MirrorEntry, to: Directory): Promise<void> {
  if (to.stat(path)?.isDirectory() === false) await to.removeTree(path);
  const made = to.makeDirectory(path, { mode: 0o755 });
  try {
    to.changeOwner(path, stats.uid, stats.gid);
    made.changeMode(stats.mode & 0o7777);
  } finally {
    made.close();
  }
}

interface Copying {
  readonly from: Directory;
  readonly to: Directory;
  readonly limits: MirrorLimits;
  readonly commit: () => void;
}

/** Writes a file under a temporary name and renames it: a reader sees the whole old file or the whole new one. */
async function putFile(
  path: string,
  { stats }: MirrorEntry,
  { from, to, limits, commit }: Copying,
): Promise<void> {
  const source = from.file(path, Open.ReadOnly);
  try {
    commit();
    const temporary = temporaryName(path);
    await to.removeTree(temporary);
    const target = to.file(temporary, Open.WriteOnly | Open.Create | Open.Exclusive, 0o600);
    try {
      copy(source.fd, target.fd, limits.bytes);
      fchownSync(target.fd, stats.uid, stats.gid);
      fchmodSync(target.fd, stats.mode & 0o7777);
    } finally {
      target.close();
    }
    // The temporary file may be that of a later update.
    commit();
    if (to.stat(path)?.isDirectory() === true) await to.removeTree(path);
    to.rename(temporary, path);
  } finally {
    source.close();
  }
}

async function putLink(path: string, { target, stats }: MirrorEntry, to: Directory): Promise<void> {
  const temporary = temporaryName(path);
  await to.removeTree(temporary);
  to.symlink(target, temporary);
  to.changeOwner(temporary, stats.uid, stats.gid);
  if (to.stat(path)?.isDirectory() === true) await to.removeTree(path);
  to.rename(temporary, path);
}

function temporaryName(path: string): string {
  const at = path.lastIndexOf('/') + 1;
  return `${path.slice(0, at)}.kata-new-${path.slice(at)}`.slice(0, 250);
}

/** Copies a file. One that grows meanwhile is truncated at the limit: the next update finds it too large. */
function copy(from: number, to: number, maxBytes: number): void {
  const buffer = Buffer.alloc(64 * 1024);
  for (let copied = 0; copied <= maxBytes; ) {
    const length = readSync(from, buffer, 0, buffer.length, null);
    if (length === 0) return;
    writeSync(to, buffer, 0, length);
    copied += length;
  }
}

/** Reports whether an error means that a file was removed meanwhile: the next update sees that. */
export function isGone(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENOTDIR', 'ESTALE');
}

declare module '../../media/host-media.js' {
  interface MediaTasks {
    /** Lent: the source, the copy. */
    readonly mirrorFile: (args: {
      readonly known: FileState | undefined;
      readonly limits: MirrorLimits;
    }) => FileState | undefined;
  }
}

/**
 * Keeps a file in sync with another one. The copy is written in place, as by Kata's agent: a container has a bind mount of
 * it, which a rename would not change.
 */
export class MirroredFile {
  readonly #from: Descriptor;
  readonly #to: Descriptor;
  #known: FileState | undefined;

  /** `from`: open with O_PATH; `to`: open for writing; `known`: the state of an earlier update. */
  constructor(from: Descriptor, to: Descriptor, known?: FileState) {
    this.#from = from;
    this.#to = to;
    this.#known = known;
  }

  /** The state after the last update. */
  get known(): FileState | undefined {
    return this.#known;
  }

  get isLarge(): boolean {
    return (this.#known?.size ?? 0) > kataLimits.bytes;
  }

  /**
   * Copies the file if it has changed. Throws TooLargeToMirror.
   *
   * @param commit is called before the copy is changed, and throws if the update has been given up
   */
  update(limits: MirrorLimits, commit: () => void): void {
    const now = fstatSync(this.#from.fd);
    if (now.size > limits.bytes) throw new TooLargeToMirror(`more than ${limits.bytes} bytes`);
    const names = ['mtimeMs', 'ctimeMs', 'size', 'mode', 'uid', 'gid'] as const;
    if (names.every((name) => this.#known?.[name] === now[name])) return;
    const data = read(this.#from.fd, now.size);
    const { fd } = this.#to;
    commit();
    for (let written = 0; written < data.length; )
      written += writeSync(fd, data, written, undefined, written);
    ftruncateSync(fd, data.length);
    fchownSync(fd, now.uid, now.gid);
    fchmodSync(fd, now.mode & 0o7777);
    this.#known = stateOf(now);
  }
}

/** Reads at most this many bytes: a file that grows meanwhile is copied at the next update. */
function read(place: number, size: number): Buffer {
  const buffer = Buffer.alloc(size);
  const fd = openSync(`/proc/self/fd/${place}`, 'r');
  try {
    let length = 0;
    for (let more = -1; more !== 0 && length < size; length += more)
      more = readSync(fd, buffer, length, size - length, length);
    return buffer.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

/** How much of a source is copied. */
export interface MirrorLimits {
  readonly entries: number;
  readonly bytes: number;
}
