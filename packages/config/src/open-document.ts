import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statfsSync } from 'node:fs';
import type { DocumentRead, DocumentReader } from './configuration.js';
import { quote } from './display-text.js';
import { maxDocumentBytes, tooLarge } from './decode-document.js';
import { foreignFilesystem } from './foreign-filesystem.js';

/**
 * The reader of documents in the guest (S6). A document is opened once, not through a link, and everything is asked of
 * that descriptor: it must be a regular file in the guest's own root, owned by root, writable by its owner alone, and
 * not too large. Only the last component may not be a link: whoever can put one further up can replace the root too.
 *
 * `relaxedPermissions` also takes a file that the agent's own user owns, whoever may write it. For development.
 */
export function openDocument(options: { readonly relaxedPermissions?: boolean } = {}): DocumentReader {
  const relaxed = options.relaxedPermissions === true;
  return { read: (path) => readDocument(path, relaxed) };
}

function readDocument(path: string, relaxed: boolean): DocumentRead {
  let descriptor: number;
  try {
    // O_NONBLOCK: a fifo must not hold the agent up before it can be refused.
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
      return refuse(tooLarge(quote(path), stats.size), 'a configuration is a few KiB');
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
    if (length > maxDocumentBytes) return refuse(tooLarge(quote(path), length), 'it grew while it was read');
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
  return refuse(`${quote(path)} is ${kind}, not a regular file`, 'name a regular file');
}

function notOurs(path: string, stats: Stats, relaxed: boolean): DocumentRead | undefined {
  const ownUser = process.geteuid?.() ?? 0;
  if (stats.uid !== 0 && !(relaxed && stats.uid === ownUser)) {
    return refuse(`${quote(path)} is owned by user ${stats.uid}, not by root`, `chown root:root ${path}`);
  }
  if ((stats.mode & 0o022) !== 0 && !relaxed) {
    const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
    return refuse(`${quote(path)} can be written by others than root (mode ${mode})`, `chmod go-w ${path}`);
  }
  return undefined;
}

function notInTheRoot(path: string, descriptor: number): DocumentRead | undefined {
  const filesystem = foreignFilesystem(statfsSync(`/proc/self/fd/${descriptor}`).type);
  if (filesystem === undefined) return undefined;
  return refuse(
    `${quote(path)} lies on ${filesystem}, which is not the guest's own root`,
    "put the document into the guest's image",
  );
}

function cannotOpen(path: string, error: unknown): DocumentRead {
  const code = codeOf(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const message = `there is no document at ${quote(path)}`;
    return { ok: false, missing: true, message, help: 'create it, or name another with -c FILE' };
  }
  if (code === 'ELOOP') return refuse(`${quote(path)} is a symbolic link`, 'name the file that it points to');
  if (code === 'EACCES')
    return refuse(`${quote(path)} must not be read by this user`, 'run the agent as root');
  if (code === 'ENXIO')
    return refuse(`${quote(path)} is a socket, not a regular file`, 'name a regular file');
  return cannotRead(path, error);
}

function cannotRead(path: string, error: unknown): DocumentRead {
  const reason = error instanceof Error ? error.message : String(error);
  return refuse(`${quote(path)} cannot be read: ${reason}`, `look at it: stat ${path}`);
}

function refuse(message: string, help: string): DocumentRead {
  return { ok: false, missing: false, message, help };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
