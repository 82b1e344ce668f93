import { createHash } from 'node:crypto';
import { fchmodSync, fchownSync, fstatSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Directory, mounts, Open, type Syscalls } from '@kata-agent/linux';
import { openShared, sharedPath } from '../source/shared-directory.js';
import { admitPiece, admitReplacement, type AdmittedCopy } from './copy-admission.js';
import { asideName, momentMs } from '../removal/remove-tree.js';
import { parentPath } from './place-calls.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    /** Its content is passed as bytes. */
    readonly copyFile: (args: {
      readonly copy: Omit<AdmittedCopy, 'data'>;
      readonly kata: string;
    }) => CopyResult;
  }
}

/** What a copy needs. */
interface CopyContext {
  /** Kata's directory. */
  readonly kata: string;
  readonly syscalls: Syscalls;
  /** Throws if the call has been given up: a later one may have made the file, which this one would replace with an older one. */
  readonly commit: () => void;
}

/** What a copy leaves to its caller: directories that were renamed, to be removed. */
export interface CopyResult {
  readonly left: readonly string[];
}

/** Permissions of a directory, with setgid and sticky. */
const PERMISSIONS = 0o7777;
/** Of a file without set-user-ID and set-group-ID, which its program would run with; Kata's agent drops them too. */
const FILE_PERMISSIONS = 0o1777;

/**
 * Creates a file, directory or symbolic link below `<kata>/shared/containers` (S9). The path is walked by descriptor
 * and no link is followed, so that nothing outside is touched; a created link may have any target.
 *
 * A file arrives in pieces, in order; it appears under its name, complete, with the last.
 */
export async function copyFileHere(
  copy: AdmittedCopy,
  { kata, syscalls, commit }: CopyContext,
): Promise<CopyResult> {
  const left: string[] = [];
  const base = openShared({ syscalls, paths: { kata } }, { make: true });
  const clear: CopySteps['clear'] = (path) => clearName(base, path, sharedPath(kata), left);
  try {
    await copyBelow(base, copy, { clear, commit });
    return { left };
  } finally {
    base.close();
  }
}

interface CopySteps extends Pick<CopyContext, 'commit'> {
  /** Removes the file or directory with the name. */
  readonly clear: (path: string) => Promise<void>;
}

/**
 * Renames a directory aside before it is removed, so that a container which keeps filling it cannot delay the call;
 * below the shared directory itself, so that no volume contains it.
 */
async function clearName(base: Directory, path: string, shared: string, left: string[]): Promise<void> {
  const found = base.stat(path);
  if (found === undefined) return;
  if (!found.isDirectory()) {
    base.unlink(path);
    return;
  }
  admitReplacement({ path, absolute: join(shared, path), mounts: mounts() });
  const aside = asideName();
  base.rename(path, aside);
  try {
    await base.removeTree(aside, { signal: AbortSignal.timeout(momentMs) });
  } catch {
    // What takes longer, or cannot be removed yet, is the caller's.
    left.push(join(shared, aside));
  }
}

async function copyBelow(base: Directory, copy: AdmittedCopy, steps: CopySteps): Promise<void> {
  const { path, kind, dirMode, uid, gid } = copy;
  // Go keeps its own type bits above the permissions; some runtimes send them.
  const parent = parentPath(path);
  if (parent !== '') base.makeDirectory(parent, { mode: dirMode & 0o777, owner: { uid, gid } }).close();
  switch (kind) {
    case 'directory':
      steps.commit();
      return copyDirectory(base, copy);
    case 'link':
      return copyLink(base, copy, steps);
    case 'file':
      return copyPiece(base, copy, steps);
  }
}

/** Keeps the content of an existing directory. */
function copyDirectory(base: Directory, { path, fileMode, uid, gid }: AdmittedCopy): void {
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
  { path, data, uid, gid }: AdmittedCopy,
  { clear, commit }: CopySteps,
): Promise<void> {
  commit();
  await clear(path);
  base.symlink(Buffer.from(data).toString(), path);
  base.changeOwner(path, uid, gid);
}

async function copyPiece(base: Directory, copy: AdmittedCopy, { clear, commit }: CopySteps): Promise<void> {
  const { path, offset, data, fileSize, fileMode, uid, gid } = copy;
  const partial = partialName(path);
  const flags = Open.ReadWrite | Open.Create | (offset === 0 ? Open.Truncate : 0);
  const file = base.file(partial, flags);
  try {
    admitPiece({ path, offset, size: fstatSync(file.fd).size });
    writeAll(file.fd, data, offset);
    if (fstatSync(file.fd).size < fileSize) return;
    fchownSync(file.fd, uid, gid);
    fchmodSync(file.fd, fileMode & FILE_PERMISSIONS);
    const isDirectory = base.stat(path)?.isDirectory() === true;
    commit();
    if (isDirectory) await clear(path);
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

/** A hidden name next to the file, of a length that fits whatever the file's own name is. */
function partialName(path: string): string {
  const at = path.lastIndexOf('/') + 1;
  const digest = createHash('sha256').update(path.slice(at)).digest('hex').slice(0, 24);
  return `${path.slice(0, at)}.${digest}.part`;
}
