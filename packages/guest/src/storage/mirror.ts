import { readSync, writeSync, fchmodSync, fchownSync, type Stats } from 'node:fs';
import { type Directory, hasCode, Open } from '@kata-agent/linux';

/** What Kata's agent keeps in step (src/agent/src/watcher.rs, 4.1): above it, the source is mounted as it is. */
const maxEntries = 16;
const maxBytes = 1024 * 1024;

/** More than a configmap has, or a loop of mounts. */
const maxDepth = 8;

/** The source has too much in it to be watched. */
export class TooLargeToMirror extends Error {
  override readonly name = 'TooLargeToMirror';
}

interface Entry {
  readonly kind: 'directory' | 'file' | 'link';
  readonly stats: Stats;
  /** Of a link. */
  readonly target: string;
}

/**
 * Keeps a directory in step with another that gives no notice of its changes. What Kubernetes promises of a configmap
 * holds here as well: new files come first, then the link that leads to them is changed at once, then the old ones go.
 */
export class Mirror {
  #known: ReadonlyMap<string, Entry> = new Map();

  /** What is in `to` already is an earlier mirror's: all of it is looked at anew, and what has gone since goes. */
  async adopt(to: Directory): Promise<void> {
    this.#known = await scan(to);
  }

  /** Brings `to` in step with `from`, and tells how many entries changed. Throws TooLargeToMirror. */
  async update(from: Directory, to: Directory): Promise<number> {
    const found = await scan(from);
    const changed = [...found].filter(([path, entry]) => differs(this.#known.get(path), entry));
    const gone = [...this.#known.keys()].filter((path) => !found.has(path));
    for (const [path, entry] of changed) if (entry.kind === 'directory') await putDirectory(path, entry, to);
    for (const [path, entry] of changed) if (entry.kind === 'file') await putFile(path, entry, from, to);
    for (const [path, entry] of changed) if (entry.kind === 'link') await putLink(path, entry, to);
    for (const path of gone.reverse()) await to.removeTree(path);
    this.#known = found;
    return changed.length + gone.length;
  }
}

/**
 * Everything below a directory by its path, directories before what is in them. No more names are read than may be there: a
 * container may fill the directory.
 */
async function scan(root: Directory): Promise<ReadonlyMap<string, Entry>> {
  const found = new Map<string, Entry>();
  let bytes = 0;
  let left = maxEntries;
  const visit = async (directory: Directory, prefix: string, depth: number): Promise<void> => {
    if (depth > maxDepth) throw new TooLargeToMirror(`more than ${maxDepth} directories inside each other`);
    const names = await directory.firstNames(left + 1);
    left -= names.length;
    if (left < 0) throw new TooLargeToMirror(`more than ${maxEntries} entries`);
    for (const name of names.map(String)) {
      const stats = directory.stat(name);
      if (stats === undefined) continue;
      const path = prefix + name;
      const kind = kindOf(stats);
      if (kind === undefined) continue;
      found.set(path, { kind, stats, target: kind === 'link' ? directory.readLink(name) : '' });
      if (kind !== 'directory') bytes += stats.size;
      if (bytes > maxBytes) throw new TooLargeToMirror(`more than ${maxBytes} bytes`);
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

/** Sockets, FIFOs and devices of the host are nothing to a container. */
function kindOf(stats: Stats): Entry['kind'] | undefined {
  if (stats.isDirectory()) return 'directory';
  if (stats.isFile()) return 'file';
  return stats.isSymbolicLink() ? 'link' : undefined;
}

function differs(before: Entry | undefined, now: Entry): boolean {
  if (before === undefined || before.kind !== now.kind || before.target !== now.target) return true;
  const attributes = (['mode', 'uid', 'gid'] as const).some((name) => before.stats[name] !== now.stats[name]);
  // A directory's own time says that something in it changed, which is seen there.
  if (now.kind === 'directory') return attributes;
  return (
    attributes ||
    (['mtimeMs', 'ctimeMs', 'size', 'ino'] as const).some((name) => before.stats[name] !== now.stats[name])
  );
}

async function putDirectory(path: string, { stats }: Entry, to: Directory): Promise<void> {
  if (to.stat(path)?.isDirectory() === false) await to.removeTree(path);
  const made = to.makeDirectory(path, { mode: 0o755 });
  try {
    to.changeOwner(path, stats.uid, stats.gid);
    made.changeMode(stats.mode & 0o7777);
  } finally {
    made.close();
  }
}

/** Under another name first: a reader sees the old file or the new one, whole. */
async function putFile(path: string, { stats }: Entry, from: Directory, to: Directory): Promise<void> {
  const source = from.file(path, Open.ReadOnly);
  try {
    const passing = passingName(path);
    await to.removeTree(passing);
    const target = to.file(passing, Open.WriteOnly | Open.Create | Open.Exclusive, 0o600);
    try {
      copy(source.fd, target.fd);
      fchownSync(target.fd, stats.uid, stats.gid);
      fchmodSync(target.fd, stats.mode & 0o7777);
    } finally {
      target.close();
    }
    if (to.stat(path)?.isDirectory() === true) await to.removeTree(path);
    to.rename(passing, path);
  } finally {
    source.close();
  }
}

async function putLink(path: string, { target, stats }: Entry, to: Directory): Promise<void> {
  const passing = passingName(path);
  await to.removeTree(passing);
  to.symlink(target, passing);
  to.changeOwner(passing, stats.uid, stats.gid);
  if (to.stat(path)?.isDirectory() === true) await to.removeTree(path);
  to.rename(passing, path);
}

function passingName(path: string): string {
  const at = path.lastIndexOf('/') + 1;
  return `${path.slice(0, at)}.kata-new-${path.slice(at)}`.slice(0, 250);
}

/** A file that grows while it is read is cut at the limit: the next look at it finds it too large. */
function copy(from: number, to: number): void {
  const buffer = Buffer.alloc(64 * 1024);
  for (let copied = 0; copied <= maxBytes; ) {
    const length = readSync(from, buffer, 0, buffer.length, null);
    if (length === 0) return;
    writeSync(to, buffer, 0, length);
    copied += length;
  }
}

/** The source went away meanwhile: the next look finds out what is left. */
export function isPassing(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENOTDIR', 'ESTALE');
}
