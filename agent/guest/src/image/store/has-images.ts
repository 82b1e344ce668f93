import { readdirSync } from 'node:fs';

/** Reports whether there is more on a disk than what making its file system left. */
export function hasImages(directory: string): boolean {
  return readdirSync(directory).some((name) => name !== 'lost+found');
}
