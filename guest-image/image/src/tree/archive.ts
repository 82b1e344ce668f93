// Writes an initramfs: a cpio archive in the "newc" format (kernel, Documentation/driver-api/early-userspace/
// buffer-format.rst). Does not use cpio(1), so that the bytes depend only on the entries: they are sorted,
// belong to root, and have the same modification time.

import { dirname } from 'node:path';

const types = { directory: 0o040000, file: 0o100000, link: 0o120000, character: 0o020000 };

/** Returns an archive of these entries, sorted by path. */
export function cpioArchive(entries: readonly Entry[]): Buffer {
  const sorted = [...withParents(entries)].sort((a, b) => (a.path < b.path ? -1 : 1));
  const chunks: Buffer[] = [];
  for (const [index, entry] of sorted.entries()) chunks.push(...record(index + 1, entry));
  chunks.push(...record(0, { path: '/TRAILER!!!', data: Buffer.alloc(0), mode: 0 }, 0));
  return Buffer.concat(chunks);
}

/** Adds missing parent directories: the kernel creates only directories that have an entry. */
function withParents(entries: readonly Entry[]): readonly Entry[] {
  const all = new Map<string, Entry>(entries.map((entry) => [entry.path, entry]));
  for (const { path } of entries) {
    for (let directory = dirname(path); directory !== '/'; directory = dirname(directory))
      if (!all.has(directory)) all.set(directory, { path: directory, directory: true });
  }
  return [...all.values()];
}

function record(inode: number, entry: Entry, mode = modeOf(entry)): readonly Buffer[] {
  const name = Buffer.from(`${entry.path.slice(1)}\0`);
  const data = entry.link === undefined ? (entry.data ?? Buffer.alloc(0)) : Buffer.from(entry.link);
  const [major, minor] = entry.device ?? [0, 0];
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
  const header = `070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}`;
  return [Buffer.from(header), name, padding(header.length + name.length), data, padding(data.length)];
}

function modeOf(entry: Entry): number {
  if (entry.link !== undefined) return types.link | 0o777;
  if (entry.device !== undefined) return types.character | entry.mode;
  return entry.directory ? types.directory | 0o755 : types.file | entry.mode;
}

function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}

// Entries of an image's file system.

interface EntryPath {
  /** The absolute path in the guest. */
  readonly path: string;
}

/** The properties that distinguish the kinds of entries. */
interface KindProperties {
  readonly directory?: undefined;
  readonly link?: undefined;
  readonly device?: undefined;
  readonly data?: undefined;
}

interface DirectoryEntry extends EntryPath, Omit<KindProperties, 'directory'> {
  readonly directory: true;
}

interface LinkEntry extends EntryPath, Omit<KindProperties, 'link'> {
  /** The target of the symbolic link. */
  readonly link: string;
}

interface DeviceEntry extends EntryPath, Omit<KindProperties, 'device'> {
  /** The numbers of the character device. */
  readonly device: readonly [major: number, minor: number];
  readonly mode: number;
}

export interface FileEntry extends EntryPath, Omit<KindProperties, 'data'> {
  readonly data: Buffer;
  /** The permission bits. */
  readonly mode: number;
}

export type Entry = DirectoryEntry | LinkEntry | DeviceEntry | FileEntry;

/** An entry with the part that it belongs to (packages/parts.ts). */
export type PartEntry = Entry & { readonly part: string };
