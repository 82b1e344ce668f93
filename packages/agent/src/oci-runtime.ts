import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where the runtime is looked for when PATH is not set, as it is under a wrapper with an empty environment (S23). */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The path of `runc`, or undefined when the machine has none. */
export function findRuntime(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  return (environment['PATH'] ?? defaultPath)
    .split(delimiter)
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => join(folder, 'runc'))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}
