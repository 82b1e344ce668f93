import { constants } from 'node:fs';
import { type MountPoint, mountsBelow } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { quotedPath } from '../quoted.js';
import type { CopyFile } from '../request/actions.js';
import { type OrderedChecks, runChecks } from '../request/ordered-checks.js';
import { sharedPath } from '../source/shared-directory.js';

// The checks of CopyFile, in order. Not here: the numbers of the message that do not fit into a `number`
// (agent/server/src/services/storage.ts), the wait for a container that is being created from the path
// (container/path-reservations.ts), and links on the way to the path, which are refused when it is opened
// (source/shared-directory.ts; below it, lib/linux/src/fs/directory.ts).

/** A request to copy, and the state that it depends on. */
export interface RequestedCopy {
  readonly action: CopyFile;
  /** Kata's directory. */
  readonly kata: string;
  /** Throws for a path that is part of a container's root. */
  readonly refuseRoot: (path: string) => void;
}

/** Run first, before anything is done for the request. */
const requestChecks: OrderedChecks<RequestedCopy> = {
  'range of numbers': ({ action }) => checkNumbers(action),
  'path below the shared directory': ({ action, kata }) => checkBelow(action.path, sharedPath(kata)),
  'no part of a root': ({ action, refuseRoot }) => refuseRoot(copiedPath(action)),
  'type of file': ({ action, kata }) => void kindOf(action, pathBelow(action, kata)),
  'target of a link': ({ action, kata }) => checkTarget(action, pathBelow(action, kata)),
  'piece within the file': ({ action, kata }) => checkPiece(action, pathBelow(action, kata)),
};

/** The file that gathers the pieces, when it is open. */
interface OpenedPieces {
  /** Below the shared directory. */
  readonly path: string;
  readonly offset: number;
  /** Bytes that have arrived. */
  readonly size: number;
}

/** Run before a piece is written. */
const pieceChecks: OrderedChecks<OpenedPieces> = {
  'no gap before the piece': checkGap,
};

/** A directory in the place of the new file or link. */
interface ReplacedDirectory {
  /** Below the shared directory. */
  readonly path: string;
  readonly absolute: string;
  readonly mounts: readonly MountPoint[];
}

/** Run before the directory is renamed aside. */
const replacementChecks: OrderedChecks<ReplacedDirectory> = {
  'nothing mounted in it': checkMounts,
};

/** A request that passed its checks. */
export interface AdmittedCopy extends Omit<CopyFile, 'path'> {
  /** Below the shared directory, without slashes at its ends. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'link';
}

/** Throws for a request to copy that is refused before anything is done. */
export function admitCopy(request: RequestedCopy): AdmittedCopy {
  runChecks(requestChecks, request);
  const { action, kata } = request;
  const path = pathBelow(action, kata);
  return { ...action, path, kind: kindOf(action, path) };
}

/** Throws for a piece that is refused when the file is open. */
export function admitPiece(opened: OpenedPieces): void {
  runChecks(pieceChecks, opened);
}

/** Throws for a directory that is not replaced. */
export function admitReplacement(replaced: ReplacedDirectory): void {
  runChecks(replacementChecks, replaced);
}

/** Returns the path of a request as path resolution takes it: without empty components and `.`. */
export function copiedPath({ path }: Pick<CopyFile, 'path'>): string {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  return `/${names.join('/')}`;
}

/** Returns the path below the shared directory, which contains it. */
function pathBelow({ path }: CopyFile, kata: string): string {
  return path.slice(sharedPath(kata).length).replace(/^\/+|\/+$/g, '');
}

function checkNumbers({ path, offset, fileSize, fileMode, dirMode, uid, gid }: CopyFile): void {
  const counts = Object.entries({ offset, fileSize, fileMode, dirMode });
  const wrong =
    counts.find(([, number]) => !Number.isSafeInteger(number) || number < 0) ??
    Object.entries({ uid, gid }).find(([, id]) => !Number.isInteger(id) || id < -1);
  if (wrong === undefined) return;
  throw new GuestError('invalid', `${quotedPath(path)}: ${wrong.join(' ')} is out of range`);
}

function checkBelow(path: string, shared: string): void {
  if (!path.startsWith(`${shared}/`))
    throw new GuestError('refused', `path ${quotedPath(path)} is not below ${shared}`);
}

function kindOf({ fileMode }: CopyFile, path: string): AdmittedCopy['kind'] {
  switch (fileMode & constants.S_IFMT) {
    case constants.S_IFDIR:
      return 'directory';
    case constants.S_IFLNK:
      return 'link';
    // Without a type it is a file: agent-ctl sends permissions only.
    case constants.S_IFREG:
    case 0:
      return 'file';
    default:
      throw new GuestError(
        'refused',
        `${JSON.stringify(path)} has mode 0${fileMode.toString(8)}: only files, directories and links are copied`,
      );
  }
}

function checkTarget(action: CopyFile, path: string): void {
  if (kindOf(action, path) !== 'link') return;
  const target = Buffer.from(action.data).toString();
  if (target === '' || target.includes('\0') || !Buffer.from(target).equals(action.data))
    throw new GuestError('invalid', `the target of link ${JSON.stringify(path)} must be a path in UTF-8`);
}

function checkPiece(action: CopyFile, path: string): void {
  const { offset, data, fileSize } = action;
  if (kindOf(action, path) === 'file' && offset + data.length > fileSize)
    throw new GuestError(
      'invalid',
      `${JSON.stringify(path)}: ${data.length} bytes at ${offset} do not fit into a file of ${fileSize}`,
    );
}

function checkGap({ path, offset, size }: OpenedPieces): void {
  if (offset > size)
    throw new GuestError(
      'invalid',
      `${JSON.stringify(path)}: bytes at ${offset} come, but only ${size} are there`,
    );
}

function checkMounts({ path, absolute, mounts }: ReplacedDirectory): void {
  const [mounted] = mountsBelow(absolute, mounts);
  if (mounted !== undefined)
    throw new GuestError(
      'precondition',
      `${JSON.stringify(path)} cannot be replaced: ${mounted.target} is mounted in it`,
    );
}
