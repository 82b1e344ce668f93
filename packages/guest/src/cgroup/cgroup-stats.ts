import type { CgroupStats } from './container-stats.js';
import type { CgroupPaths } from './cgroup-paths.js';
import { statsV1 } from './stats-v1.js';
import { statsV2 } from './stats-v2.js';

/**
 * Reads the statistics of cgroups one after another: if the kernel delays a read, it blocks only one thread of Node's pool,
 * and delays only other statistics.
 */
export class CgroupStatsReader {
  #last: Promise<unknown> = Promise.resolve();

  /** Reads the statistics of a container's cgroup, on v1 or v2. */
  read(paths: CgroupPaths): Promise<CgroupStats> {
    const stats = this.#last.then(() =>
      paths.version === 1 ? statsV1(paths.controllers) : statsV2(paths.directory),
    );
    this.#last = stats.catch(() => undefined);
    return stats;
  }
}
