import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Descriptor, Directory, type Syscalls, unmountTree } from '@kata-agent/linux';
import type { GuestLog } from '../guest-log.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { HostMedia } from '../media/host-media.js';
import { asideName, removeTree } from '../removal/remove-tree.js';

interface MountDirectoryContext {
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly paths: Pick<GuestPaths, 'kata' | 'state'>;
  readonly log: GuestLog;
}

/** After a failure the directories are looked at again so often; the delay doubles after each. The last one is after an hour. */
const attempts = 12;
const firstDelayMs = 1_000;

/** Directories of calls that are under way. */
const inUse = new Set<string>();

/** The next look, by the parent of the directories: one, however many calls fail. */
const looks = new Map<string, { readonly attempt: number; readonly timer: NodeJS.Timeout }>();

/**
 * Gives `use` a new directory in which something is mounted for the agent, and removes it with all mounts afterwards: what is needed of
 * them is copied before. No request names the directory, and no other call gets it. So a data hub that mounts after its call
 * has failed changes nothing of a later call, even for a container with the same id; such a mount is removed too.
 */
export async function withMountDirectory<T>(
  context: MountDirectoryContext,
  use: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = join(mountingIn(context.paths), asideName());
  mkdirSync(directory, { mode: 0o700 });
  inUse.add(directory);
  try {
    const result = await use(directory);
    await clear(directory, context);
    return result;
  } catch (error) {
    await tryToClear(directory, context);
    lookLater(context);
    throw error;
  } finally {
    inUse.delete(directory);
  }
}

/** Opens what is mounted in such a directory; the caller closes the descriptor. */
export function openMounted(directory: string, name: string, syscalls: Syscalls): Descriptor {
  const parent = Directory.open(syscalls, directory);
  try {
    return parent.place(name);
  } finally {
    parent.close();
  }
}

/** Removes the directories of a killed agent. */
export function clearMountDirectories(context: Pick<MountDirectoryContext, 'syscalls' | 'paths'>): void {
  const parent = mountingIn(context.paths);
  unmountTree(context.syscalls, parent);
  for (const name of readdirSync(parent)) rmSync(join(parent, name), { recursive: true });
}

/** Returns the directory of these directories, which the agent makes at its start. */
export function mountingIn({ state }: Pick<GuestPaths, 'state'>): string {
  return join(state, 'mounting');
}

async function clear(directory: string, context: MountDirectoryContext): Promise<void> {
  unmountTree(context.syscalls, directory);
  await removeTree(directory, context);
}

async function tryToClear(directory: string, context: MountDirectoryContext): Promise<void> {
  try {
    await clear(directory, context);
  } catch (error) {
    context.log('warn', `${directory} is not removed yet: ${String(error)}`);
  }
}

/** Looks again at what is left, or mounted late. A failure begins the looks anew. */
function lookLater(context: MountDirectoryContext, attempt = 0): void {
  const parent = mountingIn(context.paths);
  const pending = looks.get(parent);
  if (attempt === 0 && pending?.attempt === 0) return;
  clearTimeout(pending?.timer);
  const timer = setTimeout(() => void look(context, attempt), firstDelayMs * 2 ** attempt).unref();
  looks.set(parent, { attempt, timer });
}

async function look(context: MountDirectoryContext, attempt: number): Promise<void> {
  const parent = mountingIn(context.paths);
  looks.delete(parent);
  try {
    for (const name of readdirSync(parent)) {
      const directory = join(parent, name);
      if (!inUse.has(directory)) await tryToClear(directory, context);
    }
  } catch (error) {
    context.log('warn', `${parent} cannot be read: ${String(error)}`);
  }
  if (attempt + 1 < attempts && !looks.has(parent)) lookLater(context, attempt + 1);
}
