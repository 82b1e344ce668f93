import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupPaths } from './cgroup-paths.js';

/**
 * runc lets every container make nodes of any block device (`b *:* m`), whatever its spec says. On v1 that is taken back
 * here, before the container runs (S11). On v2 the rules are a program that runc has loaded; there a node can be made
 * but not opened.
 */
export function denyBlockDevices(paths: CgroupPaths): void {
  if (paths.version === 2) return;
  const directory = paths.controllers.get('devices');
  if (directory !== undefined) writeFileSync(join(directory, 'devices.deny'), 'b *:* rwm', { flag: 'r+' });
}
