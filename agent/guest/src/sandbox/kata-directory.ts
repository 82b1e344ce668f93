import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type RemovalContext, removeTree } from '../removal/remove-tree.js';

/**
 * Removes the content of Kata's directory, except `keep`: files that CopyFile wrote to `shared` before the sandbox was
 * created. Mounts of other programs, such as a shared file system, are left alone.
 */
export async function clearKataDirectory(context: RemovalContext, keep?: string): Promise<void> {
  const { paths, log } = context;
  mkdirSync(paths.kata, { recursive: true, mode: 0o755 });
  for (const name of readdirSync(paths.kata)) {
    if (name === keep) continue;
    try {
      await removeTree(join(paths.kata, name), context);
    } catch (error) {
      log('warn', String(error));
    }
  }
}
