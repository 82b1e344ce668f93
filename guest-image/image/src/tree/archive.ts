// Writes an initramfs: a cpio archive in the "newc" format (kernel, Documentation/driver-api/early-userspace/
// buffer-format.rst). Does not use cpio(1), so that the bytes depend only on the entries: they are sorted,
// belong to root, and have the same modification time.

import { dirname } from 'node:path';
import type { Entry } from './entry.js';

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
