import { rmSync } from 'node:fs';
import { mounts, mountsBelow } from '@kata-agent/linux';

/**
 * Removes a directory and what is in it, unless something is mounted there: to remove through a mount would be to
 * remove somebody's data.
 */
export function removeTree(directory: string): void {
  const [mounted] = mountsBelow(directory, mounts());
  if (mounted !== undefined)
    throw new Error(`${directory} is kept: ${mounted.target} is still mounted in it`);
  rmSync(directory, { recursive: true, force: true });
}
