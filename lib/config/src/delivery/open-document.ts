import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statfsSync } from 'node:fs';
import type { DocumentRead, DocumentReader } from '../delivery.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import { maxDocumentBytes, tooLarge } from '../document/decode-document.js';

/** Superblock magics (linux/magic.h) of filesystems that are not the guest's root. */
const foreign: ReadonlyMap<number, string> = new Map([
  [0x9fa0, 'procfs'],
  [0x62656572, 'sysfs'],
  [0x64626720, 'debugfs'],
  [0x74726163, 'tracefs'],
  [0x62656570, 'configfs'],
  [0x73636673, 'securityfs'],
  [0xde5e81e4, 'efivarfs'],
  [0x27e0eb, 'cgroupfs'],
  [0x63677270, 'cgroup2'],
  [0x01021997, 'a directory shared by the host (9p)'],
  // virtiofs has the magic of FUSE, which it is based on.
  [0x65735546, 'a directory shared by the host (virtiofs or FUSE)'],
  [0x6969, 'a network share (NFS)'],
  [0xff534d42, 'a network share (CIFS)'],
  [0xfe534d42, 'a network share (SMB)'],
  [0x517b, 'a network share (SMB)'],
  [0x00c36400, 'a network share (Ceph)'],
  [0x5346414f, 'a network share (AFS)'],
  [0x786f4256, 'a directory shared by the host (vboxsf)'],
]);

/**
 * Reads documents in the guest (S6). A document is opened once, without following a link, and all checks use that
 * descriptor: it must be a regular file in the guest's own root, owned by root, writable by its owner only, and not too
 * large. Only the last component must not be a link: a user who can create one above can replace the root too.
 *
 * `relaxedPermissions`, for development, also accepts a file owned by the agent's user, with any mode.
 */
export function openDocument(options: { readonly relaxedPermissions?: boolean } = {}): DocumentReader {
  const relaxed = options.relaxedPermissions === true;
  return { read: (path) => readDocument(path, relaxed) };
}

function readDocument(path: string, relaxed: boolean): DocumentRead {
  let descriptor: number;
  try {
    // O_NONBLOCK: opening a fifo must not block before it is rejected.
    descriptor = openSync(
      path,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
  } catch (error) {
    return cannotOpen(path, error);
  }
  try {
    const stats = fstatSync(descriptor);
    const refusal = notAFile(path, stats) ?? notOurs(path, stats, relaxed) ?? notInTheRoot(path, descriptor);
    if (refusal !== undefined) return refusal;
    if (stats.size > maxDocumentBytes)
      return refuse('KA1001', tooLarge(quote(path), stats.size), 'a configuration is a few KiB');
    return readAll(path, descriptor);
  } catch (error) {
    return cannotRead(path, error);
  } finally {
    closeSync(descriptor);
  }
}

function readAll(path: string, descriptor: number): DocumentRead {
  const buffer = Buffer.alloc(maxDocumentBytes + 1);
  let length = 0;
  for (;;) {
    const got = readSync(descriptor, buffer, length, buffer.length - length, null);
    length += got;
    if (length > maxDocumentBytes)
      return refuse('KA1001', tooLarge(quote(path), length), 'it grew while it was read');
    if (got === 0) return { ok: true, bytes: new Uint8Array(buffer.subarray(0, length)) };
  }
}

function notAFile(path: string, stats: Stats): DocumentRead | undefined {
  if (stats.isFile()) return undefined;
  const kind = stats.isDirectory()
    ? 'a directory'
    : stats.isFIFO()
      ? 'a fifo'
      : stats.isSocket()
        ? 'a socket'
        : 'a device node';
  return refuse('KA1603', `${quote(path)} is ${kind}, not a regular file`, 'name a regular file');
}

function notOurs(path: string, stats: Stats, relaxed: boolean): DocumentRead | undefined {
  const ownUser = process.geteuid?.() ?? 0;
  if (stats.uid !== 0 && !(relaxed && stats.uid === ownUser)) {
    return refuse(
      'KA1604',
      `${quote(path)} is owned by user ${stats.uid}, not by root`,
      `chown root:root ${path}`,
    );
  }
  if ((stats.mode & 0o022) !== 0 && !relaxed) {
    const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
    return refuse(
      'KA1604',
      `${quote(path)} can be written by others than root (mode ${mode})`,
      `chmod go-w ${path}`,
    );
  }
  return undefined;
}

function notInTheRoot(path: string, descriptor: number): DocumentRead | undefined {
  const filesystem = foreignFilesystem(statfsSync(`/proc/self/fd/${descriptor}`).type);
  if (filesystem === undefined) return undefined;
  return refuse(
    'KA1604',
    `${quote(path)} is on ${filesystem}, which is not the guest's root filesystem`,
    'put the document into the guest image',
  );
}

function cannotOpen(path: string, error: unknown): DocumentRead {
  const code = codeOf(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const message = `there is no document at ${quote(path)}`;
    return {
      ok: false,
      missing: true,
      code: 'KA1603',
      message,
      help: 'create it, or name another with -c FILE',
    };
  }
  if (code === 'ELOOP')
    return refuse('KA1604', `${quote(path)} is a symbolic link`, 'name the file that it points to');
  if (code === 'EACCES')
    return refuse('KA1603', `${quote(path)} cannot be read by this user`, 'run the agent as root');
  if (code === 'ENXIO')
    return refuse('KA1603', `${quote(path)} is a socket, not a regular file`, 'name a regular file');
  return cannotRead(path, error);
}

function cannotRead(path: string, error: unknown): DocumentRead {
  const reason = error instanceof Error ? error.message : String(error);
  return refuse('KA1603', `${quote(path)} cannot be read: ${reason}`, `check it: stat ${path}`);
}

function refuse(code: Diagnostic['code'], message: string, help: string): DocumentRead {
  return { ok: false, missing: false, code, message, help };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Describes a filesystem type of `statfs` on which documents are not accepted; undefined for others. */
export function foreignFilesystem(type: number): string | undefined {
  // The field is signed on some machines.
  return foreign.get(type >>> 0);
}
