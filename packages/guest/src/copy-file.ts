import { createHash } from 'node:crypto';
import { fchmodSync, fchownSync, fstatSync, writeSync, constants } from 'node:fs';
import { join } from 'node:path';
import { type Directory, mounts, mountsBelow, Open } from '@kata-agent/linux';
import type { CopyFile } from './actions.js';
import { GuestError } from './guest-error.js';
import { openShared, sharedPath } from './source/shared-directory.js';
import { asideName, type RemovalContext, removeSoon } from './storage/remove-tree.js';

/** Rights, with setuid, setgid and sticky. */
const PERMISSIONS = 0o7777;

/**
 * Makes a file, directory or symbolic link below `<kata>/shared/containers` (S9). The way there is walked by descriptor
 * and no link is followed, so that nothing outside is ever touched; a link that is made may point anywhere.
 *
 * A file comes in pieces, each after the one before; it appears under its name, whole, with the last.
 */
export async function copyFile(action: CopyFile, context: Omit<RemovalContext, 'signal'>): Promise<void> {
  const shared = checkCopy(action, context.paths.kata);
  const base = openShared(context, { make: true });
  const clear = (path: string): Promise<void> => clearName(base, path, shared, context);
  try {
    await copyBelow(base, withoutSlashes(action.path.slice(shared.length)), action, clear);
  } finally {
    base.close();
  }
}

/** Throws what refuses a request whatever there is in the guest; returns the directory that it has to stay below. */
export function checkCopy(action: CopyFile, kata: string): string {
  checkNumbers(action);
  const shared = sharedPath(kata);
  if (action.path.startsWith(`${shared}/`)) return shared;
  throw new GuestError('refused', `path ${JSON.stringify(action.path.slice(0, 500))} is not below ${shared}`);
}

/** Makes a name free. */
type Clear = (path: string) => Promise<void>;

/**
 * A directory that has the name is set aside before it is removed, however fast a container fills it; and below the shared
 * directory itself, so that nobody sees it in a volume.
 */
async function clearName(
  base: Directory,
  path: string,
  shared: string,
  context: Omit<RemovalContext, 'signal'>,
): Promise<void> {
  const found = base.stat(path);
  if (found === undefined) return;
  if (!found.isDirectory()) {
    base.unlink(path);
    return;
  }
  const [mounted] = mountsBelow(join(shared, path), mounts());
  if (mounted !== undefined)
    throw new GuestError(
      'precondition',
      `${JSON.stringify(path)} cannot be replaced: ${mounted.target} is mounted in it`,
    );
  const aside = asideName();
  base.rename(path, aside);
  await removeSoon(join(shared, aside), context);
}

async function copyBelow(base: Directory, path: string, action: CopyFile, clear: Clear): Promise<void> {
  const { fileMode, dirMode, uid, gid } = action;
  // Go keeps its own type bits above the permissions; some runtimes send them.
  const parent = parentOf(path);
  if (parent !== '') base.makeDirectory(parent, { mode: dirMode & 0o777, owner: { uid, gid } }).close();
  switch (fileMode & constants.S_IFMT) {
    case constants.S_IFDIR:
      return copyDirectory(base, path, action);
    case constants.S_IFLNK:
      return copyLink(base, path, action, clear);
    // Without a type it is a file: agent-ctl sends permissions only.
    case constants.S_IFREG:
    case 0:
      return copyPiece(base, path, action, clear);
    default:
      throw new GuestError(
        'refused',
        `${JSON.stringify(path)} has mode 0${fileMode.toString(8)}: only files, directories and links are copied`,
      );
  }
}

/** One that exists keeps what is in it. */
function copyDirectory(base: Directory, path: string, { fileMode, uid, gid }: CopyFile): void {
  const found = base.stat(path);
  if (found !== undefined && !found.isDirectory()) base.unlink(path);
  const directory = base.makeDirectory(path, { mode: 0o700 });
  try {
    base.changeOwner(path, uid, gid);
    directory.changeMode(fileMode & PERMISSIONS);
  } finally {
    directory.close();
  }
}

async function copyLink(
  base: Directory,
  path: string,
  { data, uid, gid }: CopyFile,
  clear: Clear,
): Promise<void> {
  const target = Buffer.from(data).toString();
  if (target === '' || target.includes('\0') || !Buffer.from(target).equals(data)) {
    throw new GuestError('invalid', `the target of link ${JSON.stringify(path)} must be a path in UTF-8`);
  }
  await clear(path);
  base.symlink(target, path);
  base.changeOwner(path, uid, gid);
}

async function copyPiece(base: Directory, path: string, action: CopyFile, clear: Clear): Promise<void> {
  const { offset, data, fileSize, fileMode, uid, gid } = action;
  if (offset + data.length > fileSize) {
    throw new GuestError(
      'invalid',
      `${JSON.stringify(path)}: ${data.length} bytes at ${offset} do not fit into a file of ${fileSize}`,
    );
  }
  const partial = partialName(path);
  const flags = Open.ReadWrite | Open.Create | (offset === 0 ? Open.Truncate : 0);
  const file = base.file(partial, flags);
  try {
    const { size } = fstatSync(file.fd);
    if (offset > size) {
      throw new GuestError(
        'invalid',
        `${JSON.stringify(path)}: bytes at ${offset} come, but only ${size} are there`,
      );
    }
    writeAll(file.fd, data, offset);
    if (fstatSync(file.fd).size < fileSize) return;
    // Owner first: changing it takes setuid and setgid away.
    fchownSync(file.fd, uid, gid);
    fchmodSync(file.fd, fileMode & PERMISSIONS);
    if (base.stat(path)?.isDirectory() === true) await clear(path);
    base.rename(partial, path);
  } catch (error) {
    base.unlink(partial);
    throw error;
  } finally {
    file.close();
  }
}

function writeAll(fd: number, data: Uint8Array, offset: number): void {
  for (let done = 0; done < data.length; ) {
    done += writeSync(fd, data, done, data.length - done, offset + done);
  }
}

function checkNumbers({ path, offset, fileSize, fileMode, dirMode, uid, gid }: CopyFile): void {
  const counts = Object.entries({ offset, fileSize, fileMode, dirMode });
  const wrong =
    counts.find(([, number]) => !Number.isSafeInteger(number) || number < 0) ??
    Object.entries({ uid, gid }).find(([, id]) => !Number.isInteger(id) || id < -1);
  if (wrong === undefined) return;
  throw new GuestError(
    'invalid',
    `${JSON.stringify(path.slice(0, 500))}: ${wrong.join(' ')} is out of range`,
  );
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

function withoutSlashes(path: string): string {
  return path.replace(/^\/+|\/+$/g, '');
}

/** Beside the file, hidden, of a length that fits whatever the file's own name is. */
function partialName(path: string): string {
  const at = path.lastIndexOf('/') + 1;
  const digest = createHash('sha256').update(path.slice(at)).digest('hex').slice(0, 24);
  return `${path.slice(0, at)}.${digest}.part`;
}
