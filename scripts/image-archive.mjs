// A tree as the kernel unpacks it: a cpio archive of the form "newc" (kernel, Documentation/driver-api/early-userspace/
// buffer-format.rst). Written here and not by cpio(1), so that its bytes depend on the entries alone: they are sorted, all
// belong to root, and all are of the same moment.

import { dirname } from 'node:path';

const types = { directory: 0o040000, file: 0o100000, link: 0o120000, character: 0o020000 };

/** Entries by path: `{ path, mode, data }`, `{ path, link }`, `{ path, device: [major, minor], mode }`, `{ path, directory: true }`. */
export function cpioArchive(entries) {
  const sorted = withFolders(entries).sort((a, b) => (a.path < b.path ? -1 : 1));
  const chunks = [];
  for (const [index, entry] of sorted.entries()) chunks.push(...record(index + 1, entry));
  chunks.push(...record(0, { path: '/TRAILER!!!', data: Buffer.alloc(0), trailer: true }));
  return Buffer.concat(chunks);
}

/** The kernel makes no folder that is not an entry before what lies in it. */
function withFolders(entries) {
  const all = new Map(entries.map((entry) => [entry.path, entry]));
  for (const { path } of entries) {
    for (let folder = dirname(path); folder !== '/'; folder = dirname(folder))
      if (!all.has(folder)) all.set(folder, { path: folder, directory: true });
  }
  return [...all.values()];
}

function record(inode, entry) {
  const name = Buffer.from(`${entry.path.slice(1)}\0`);
  const data = entry.link === undefined ? (entry.data ?? Buffer.alloc(0)) : Buffer.from(entry.link);
  const [major, minor] = entry.device ?? [0, 0];
  const fields = [inode, modeOf(entry), 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
  const header = `070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}`;
  return [Buffer.from(header), name, padding(header.length + name.length), data, padding(data.length)];
}

function modeOf(entry) {
  if (entry.trailer) return 0;
  if (entry.link !== undefined) return types.link | 0o777;
  if (entry.device !== undefined) return types.character | entry.mode;
  return entry.directory ? types.directory | (entry.mode ?? 0o755) : types.file | entry.mode;
}

function padding(length) {
  return Buffer.alloc((4 - (length % 4)) % 4);
}
