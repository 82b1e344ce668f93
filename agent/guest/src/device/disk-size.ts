import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceNumber } from './device-number.js';

/** The unit of the kernel's numbers, whatever the disk has. */
const sectorSize = 512;

/** Returns the size of a disk in bytes. `sys`: `/sys`. */
export function diskSize({ major, minor }: DeviceNumber, sys: string): number {
  return sectorSize * Number(readFileSync(join(sys, 'dev/block', `${major}:${minor}`, 'size'), 'utf8'));
}
