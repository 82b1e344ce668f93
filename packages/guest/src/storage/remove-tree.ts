import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Directory, hasCode, mounts, mountsBelow, type Syscalls } from '@kata-agent/linux';
import type { GuestLog, GuestPaths } from '../context/guest-options.js';

/** Dependencies of a removal. */
export interface RemovalContext {
  readonly syscalls: Syscalls;
  readonly paths: Pick<GuestPaths, 'kata'>;
  readonly log: GuestLog;
  /** See `RemoveOptions`. */
  readonly signal?: AbortSignal;
}

/**
 * Prefix of the name that a directory is renamed to if it could not be removed. No container id or storage begins so.
 */
const asidePrefix = '.removed-';

/** Attempts to remove a renamed directory; the delay doubles after each. */
const maxAttempts = 10;
const firstDelayMs = 1_000;

/** A removal that takes longer continues in the background. */
const momentMs = 20;

let count = 0;

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
export async function removeSoon(aside: string, context: RemovalContext): Promise<void> {
  try {
    await remove(aside, { ...context, signal: AbortSignal.timeout(momentMs) });
  } catch {
    removeLater(aside, context);
  }
}

/** Returns a unique name. */
export function asideName(): string {
  count += 1;
  return `${asidePrefix}${process.pid}-${Date.now()}-${count}`;
}

/** Reports whether a name is that of a directory which an earlier agent renamed for removal. */
export function isSetAside(name: string): boolean {
  return name.startsWith(asidePrefix);
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

async function remove(directory: string, context: RemovalContext): Promise<void> {
  const { signal } = context;
  await inBase(directory, context, (base, place) => base.removeTree(place, { signal }));
}

/** Renames a directory for removal; returns its new path. Undefined: it does not exist. */
async function setAside(directory: string, context: RemovalContext): Promise<string | undefined> {
  const aside = join(dirname(directory), asideName());
  try {
    const name = basename(aside);
    await inBase(directory, context, (base, place) => base.rename(place, place.replace(/[^/]*$/, name)));
    return aside;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Requests could place links in the path: it is resolved from Kata's directory without following any (S29). */
async function inBase(
  directory: string,
  { syscalls, paths }: RemovalContext,
  use: (base: Directory, place: string) => void | Promise<void>,
): Promise<void> {
  const top = directory.startsWith(`${paths.kata}/`) ? paths.kata : dirname(directory);
  if (!existsSync(top)) return;
  const base = Directory.open(syscalls, top);
  try {
    await use(base, directory.slice(top.length + 1));
  } finally {
    base.close();
  }
}
