import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Descriptor, Directory, type Syscalls, unmountTree } from '@kata-agent/linux';
import type { GuestLog, GuestPaths } from '../context/guest-options.js';
import { asideName, removeTree } from '../storage/remove-tree.js';

interface MountDirectoryContext {
  readonly syscalls: Syscalls;
  readonly paths: Pick<GuestPaths, 'kata' | 'state'>;
  readonly log: GuestLog;
}

/** After a failure the directory is looked at again so often; the delay doubles after each. The last one is after an hour. */
const attempts = 12;
const firstDelayMs = 1_000;

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
  try {
    const result = await use(directory);
    await clear(directory, context);
    return result;
  } catch (error) {
    await tryToClear(directory, context);
    clearLater(directory, context);
    throw error;
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

function clearLater(directory: string, context: MountDirectoryContext, attempt = 0): void {
  const again = async (): Promise<void> => {
    await tryToClear(directory, context);
    if (attempt + 1 < attempts) clearLater(directory, context, attempt + 1);
  };
  setTimeout(() => void again(), firstDelayMs * 2 ** attempt).unref();
}
