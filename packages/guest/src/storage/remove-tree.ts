import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Directory, hasCode, mounts, mountsBelow, type Syscalls } from '@kata-agent/linux';
import type { GuestLog, GuestPaths } from '../guest-options.js';

/** What removing takes. */
export interface RemovalContext {
  readonly syscalls: Syscalls;
  readonly paths: Pick<GuestPaths, 'kata'>;
  readonly log: GuestLog;
  /** See `RemoveOptions`. */
  readonly signal?: AbortSignal;
}

/** What lies beside a directory that could not be removed. No container has such an id, and no storage such a name. */
const asidePrefix = '.removed-';

/** So often it is tried to remove what was set aside, each time after twice as long. */
const maxAttempts = 10;
const firstDelayMs = 1_000;

/** What is removed within this time is not left to the background. */
const momentMs = 20;

let count = 0;

/**
 * Removes a directory of ours and what is in it, while other work goes on; nothing when it is not there. Whatever a
 * container left in it, its name can be used again: what cannot be removed, or not in time, is set aside, and removed in
 * the background. Throws for what cannot; and, touching nothing, when something is mounted there, since to remove through a
 * mount would be to remove somebody's data.
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
 * Removes a directory of ours whose name is needed at once, or which a container may be filling: it is set aside first, what
 * takes longer than a moment is removed in the background. Nothing when it is not there. Nothing is mounted in it.
 */
export async function removeAside(directory: string, context: RemovalContext): Promise<void> {
  const aside = await setAside(directory, context);
  if (aside !== undefined) await removeSoon(aside, context);
}

/** Removes what was set aside: within a moment, or in the background. */
export async function removeSoon(aside: string, context: RemovalContext): Promise<void> {
  try {
    await remove(aside, { ...context, signal: AbortSignal.timeout(momentMs) });
  } catch {
    removeLater(aside, context);
  }
}

/** A name that nothing else has. */
export function asideName(): string {
  count += 1;
  return `${asidePrefix}${process.pid}-${Date.now()}-${count}`;
}

/** Tells by its name what an agent had set aside, which is nobody's any more. */
export function isSetAside(name: string): boolean {
  return name.startsWith(asidePrefix);
}

/** Removes what was set aside, when other things are done; what fails is tried again for some time. */
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

/** Undefined: it is gone after all. */
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

/** What requests could put into the way is resolved from Kata's directory, without following links (S29). */
async function inBase(
  directory: string,
  { syscalls, paths }: RemovalContext,
  deed: (base: Directory, place: string) => void | Promise<void>,
): Promise<void> {
  const top = directory.startsWith(`${paths.kata}/`) ? paths.kata : dirname(directory);
  if (!existsSync(top)) return;
  const base = Directory.open(syscalls, top);
  try {
    await deed(base, directory.slice(top.length + 1));
  } finally {
    base.close();
  }
}
