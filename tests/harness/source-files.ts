import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './repository.js';

/** The files below a directory of the repository that somebody wrote, with their paths from its root, sorted. */
export function sourceFiles(directory: string, extension: RegExp): readonly string[] {
  const names = readdirSync(join(repository, directory), { recursive: true }) as string[];
  return names
    .filter((name) => extension.test(name) && !/(^|\/)(node_modules|dist|gen)\//.test(name))
    .map((name) => `${directory}/${name}`)
    .sort();
}
