import { basename, dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { hasCode, mounts, mountsBelow, type Syscalls } from '@kata-agent/linux';
import type { GuestLog } from '../guest-log.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { HostMedia } from '../media/host-media.js';
import { removeAt, renameAt } from './remove-at.js';

/**
 * Prefix of the name that a directory is renamed to if it could not be removed. No container id or storage begins so.
 */
const asidePrefix = '.removed-';

/** A removal that takes longer continues in the background. */
export const momentMs = 20;

let count = 0;

/** Dependencies of a removal. */
export interface RemovalContext {
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly paths: Pick<GuestPaths, 'kata'>;
  readonly log: GuestLog;
  /** See `RemoveOptions`. */
  readonly signal?: AbortSignal;
}

/** Attempts to remove a renamed directory; the delay doubles after each. */
const maxAttempts = 10;
const firstDelayMs = 1_000;

/**
 * Removes a directory of the agent and its content without blocking the event loop; does nothing if it does not exist.
 * Its name can be reused in any case: what cannot be removed, or not in time, is renamed, and removed in the
 * background. Throws for what cannot be removed; also, without touching anything, if something is mounted there,
 * because removing through a mount would delete another owner's data.
 */
export async function removeTree(directory: string, context: RemovalContext): Promise<void> {
  const [mounted] = mountsBelow(directory, mounts());
  if (mounted !== undefined)
    throw new Error(`${directory} is kept: ${mounted.target} is still mounted in it`);
  try {
    await remove(directory, context);
  } catch (error) {
    if (hasCode(error, 'EBUSY')) throw error;
    const aside = await setAside(directory, context);
    if (aside === undefined) return;
    removeLater(aside, context);
    if (hasCode(error, 'ETIMEDOUT')) {
      context.log('warn', `${directory} is large: the rest, now ${aside}, is removed in the background`);
      return;
    }
    throw new Error(`${directory} could not be removed; what is left of it is ${aside}: ${String(error)}`, {
      cause: error,
    });
  }
}

/**
 * Removes a directory of the agent whose name is needed at once, or which a container may be filling: it is renamed
 * first, and what takes longer is removed in the background. Does nothing if it does not exist. It must contain no
 * mounts.
 */
export async function removeAside(directory: string, context: RemovalContext): Promise<void> {
  const aside = await setAside(directory, context);
  if (aside !== undefined) await removeSoon(aside, context);
}

/** Removes a renamed directory: at once, or in the background. */
async function removeSoon(aside: string, context: RemovalContext): Promise<void> {
  try {
    await remove(aside, { ...context, signal: AbortSignal.timeout(momentMs) }, momentMs);
  } catch {
    removeLater(aside, context);
  }
}

/** Removes a renamed directory when the event loop is idle; retries failures for some time. */
export function removeLater(aside: string, context: RemovalContext, attempt = 0): void {
  const again = (): void => {
    remove(aside, context).catch((error: unknown) => {
      if (attempt < maxAttempts) removeLater(aside, context, attempt + 1);
      else context.log('error', `${aside} stays until the agent starts again: ${String(error)}`);
    });
  };
  setTimeout(again, firstDelayMs * 2 ** attempt).unref();
}

async function remove(directory: string, context: RemovalContext, milliseconds?: number): Promise<void> {
  const { paths, media, syscalls, signal } = context;
  const removal = { ...placeOf(directory, paths), milliseconds };
  if (isOfHost(directory, paths)) await media.run('removeAt', removal);
  else await removeAt(removal, syscalls, signal);
}

/** Renames a directory for removal; returns its new path. Undefined: it does not exist. */
async function setAside(
  directory: string,
  { paths, media, syscalls }: RemovalContext,
): Promise<string | undefined> {
  const aside = join(dirname(directory), asideName());
  const { top, place } = placeOf(directory, paths);
  const name = basename(aside);
  try {
    if (isOfHost(directory, paths)) await media.run('renameAt', { top, place, name });
    else renameAt(top, place, name, syscalls);
    return aside;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Reports whether a directory is in Kata's, where the host mounts its share; others are the agent's own. */
function isOfHost(directory: string, { kata }: RemovalContext['paths']): boolean {
  return directory.startsWith(`${kata}/`);
}

/** Requests could place links in the path: it is resolved from Kata's directory without following any (S29). */
function placeOf(
  directory: string,
  paths: RemovalContext['paths'],
): { readonly top: string; readonly place: string } {
  const top = isOfHost(directory, paths) ? paths.kata : dirname(directory);
  return { top, place: directory.slice(top.length + 1) };
}

/** Returns a unique name. */
export function asideName(): string {
  count += 1;
  return `${asidePrefix}${process.pid}-${threadId}-${Date.now()}-${count}`;
}

/** Reports whether a name is that of a directory which an earlier agent renamed for removal. */
export function isSetAside(name: string): boolean {
  return name.startsWith(asidePrefix);
}
