import { readFileSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';

/** Reads a file that may not exist, as in procfs and sysfs; undefined: it does not exist. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
