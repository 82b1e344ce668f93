import type { CgroupStats } from '../container-stats.js';
import type { CgroupPaths } from './cgroup-paths.js';
import { statsV1 } from './stats-v1.js';
import { statsV2 } from './stats-v2.js';

/** What the files of a container's cgroup say now, in either layout. */
export function cgroupStats(paths: CgroupPaths): CgroupStats {
  return paths.version === 1 ? statsV1(paths.controllers) : statsV2(paths.directory);
}
