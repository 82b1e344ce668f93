import { join, sep } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { packageDirectories } from '@kata-agent/setup/products';

const directories: readonly string[] = packageDirectories.map((each) => join(root, each) + sep);

/** Reports whether a module is of this repository's packages. @param path absolute, without links */
export function isOwn(path: string): boolean {
  return directories.some((directory) => path.startsWith(directory));
}
