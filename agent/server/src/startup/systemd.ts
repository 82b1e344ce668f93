import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Reports whether systemd is the init of the machine (sd_booted(3)), and of this pid namespace. */
export function isBootedWithSystemd(root: string = '/'): boolean {
  const directory = lstatSync(join(root, 'run/systemd/system'), { throwIfNoEntry: false });
  if (directory?.isDirectory() !== true) return false;
  return readFileSync(join(root, 'proc/1/comm'), 'utf8') === 'systemd\n';
}
