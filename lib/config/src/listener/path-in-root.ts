import { lstatSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Returns the place of a guest's file below a root on this machine. Throws an Error if a part of it is a symbolic link, which
 * would lead elsewhere here than in the guest, or if it does not exist.
 *
 * @param path absolute, without `.` and `..`, as the settings accept it.
 */
export function pathInRoot(root: string, path: string): string {
  let place = root;
  for (const part of path.split('/').filter((each) => each !== '')) {
    place = join(place, part);
    if (lstatSync(place).isSymbolicLink())
      throw new Error(
        `${place} is a symbolic link, which leads elsewhere than in the guest: name the file itself`,
      );
  }
  return place;
}
