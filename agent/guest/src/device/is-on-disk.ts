import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';

/** dm-crypt is on dm-integrity, and that on the disk. */
const maxLevels = 4;

/**
 * Reports whether a block device is a disk, or a mapped device that is on it, directly or through others. Both are `MAJOR:MINOR`.
 *
 * @param sys `/sys`
 */
export function isOnDisk(device: string, disk: string, sys: string, levels: number = maxLevels): boolean {
  if (device === disk) return true;
  if (levels === 0) return false;
  const below = join(sys, 'dev/block', device, 'slaves');
  try {
    return readdirSync(below).some((name) =>
      isOnDisk(readFileSync(join(below, name, 'dev'), 'utf8').trim(), disk, sys, levels - 1),
    );
  } catch (error) {
    // A partition, or the device of a file system that has no disk.
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
