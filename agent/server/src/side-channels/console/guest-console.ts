import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';

const everyConsole = '/dev/console';

/**
 * Returns the terminal behind /dev/console, below `root`: the last one that the kernel writes to
 * (Documentation/ABI/testing/sysfs-tty). /dev/console itself cannot be a controlling terminal, and without one a shell
 * ignores Ctrl-C.
 */
export function guestConsole(root: string = '/'): string {
  const terminal = join('/dev', activeConsoles(root).at(-1) ?? 'console');
  return existsSync(join(root, terminal)) ? terminal : everyConsole;
}

function activeConsoles(root: string): readonly string[] {
  try {
    const text = readFileSync(join(root, 'sys/class/tty/console/active'), 'latin1').trim();
    return text === '' ? [] : text.split(' ');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
