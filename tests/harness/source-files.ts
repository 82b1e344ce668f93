import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './repository.js';

/** Returns the hand-written files below a directory of the repository, as sorted paths from its root. */
export function sourceFiles(directory: string, extension: RegExp): readonly string[] {
  const names = readdirSync(join(repository, directory), { recursive: true }) as string[];
  return names
    .filter((name) => extension.test(name) && !/(^|\/)(node_modules|dist|gen)\//.test(name))
    .map((name) => `${directory}/${name}`)
    .sort();
}
