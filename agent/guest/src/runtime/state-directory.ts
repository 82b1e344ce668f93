import { readdirSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';

/**
 * Returns the ids of the containers in a runtime's state directory; none if it does not exist. crun has a cache of seccomp
 * filters beside them, `.cache`; no id begins with a dot.
 */
export function containersIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => !name.startsWith('.'));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
