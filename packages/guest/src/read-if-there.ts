import { readFileSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';

/** The text of a file that need not exist, as of procfs and sysfs; undefined when it does not. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
