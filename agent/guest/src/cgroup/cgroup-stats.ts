import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Semaphore } from '@kata-agent/base';
import { hasCode, KernelFiles } from '@kata-agent/linux';
import type { CgroupPaths } from './cgroup-paths.js';
import type { CgroupStats } from './container-stats.js';
import { StatsDirectory, type StatsFiles } from './stats-files.js';
import { statsV1 } from './stats-v1.js';
import { statsV2 } from './stats-v2.js';

/** Descriptors of all containers together. A container has about 15 files with cgroup v2 and 40 with v1. */
const maxDescriptors = 1024;
/** A read at once that took more CPU time than this, in ms, is followed by reads in the thread pool: half of what S36 allows. */
const slowMs = 25;
/** For how long, in ms. */
const poolMs = 2_000;

interface Kept {
  readonly files: KernelFiles;
  /** Until then the files are read in the thread pool. */
  poolUntil: number;
}

/**
 * Reads the statistics of containers' cgroups: at once, from descriptors that are kept until the container is removed. The
 * files are the kernel's and never wait for the host (`KernelFiles`). A container can make them expensive, with thousands of
 * cgroups of its own below its cgroup; then they are read in the thread pool for a while, one file after another, so that a
 * container delays statistics only.
 */
export class CgroupStatsReader {
  /** By container, the least recently read one first. */
  readonly #kept: Map<string, Kept> = new Map();
  readonly #now: () => number;
  readonly #cpuTime: () => number;
  readonly #poolReads: Semaphore = new Semaphore(1);

  /** `now`, `cpuTime`: in ms. On a busy machine the time that passes says nothing about the work of the kernel. */
  constructor({
    now = () => performance.now(),
    cpuTime = ownCpuTime,
  }: { readonly now?: () => number; readonly cpuTime?: () => number } = {}) {
    this.#now = now;
    this.#cpuTime = cpuTime;
  }

  /** The number of descriptors that are open. */
  get open(): number {
    return [...this.#kept.values()].reduce((sum, { files }) => sum + files.open, 0);
  }

  /** Reads the statistics of a container's cgroup, on v1 or v2. `forget` has to follow its removal. */
  async read(container: string, paths: CgroupPaths): Promise<CgroupStats> {
    const kept = this.#kept.get(container) ?? { files: new KernelFiles(this.#now), poolUntil: 0 };
    this.#kept.delete(container);
    this.#kept.set(container, kept);
    if (this.#now() < kept.poolUntil) return this.#readInPool(kept.files, paths);
    const begin = this.#cpuTime();
    const stats = statsOf(paths, {
      read: (directory, name) => kept.files.read(directory, name),
      names: (directory) => kept.files.names(directory),
    });
    if (this.#cpuTime() - begin > slowMs) kept.poolUntil = this.#now() + poolMs;
    this.#closeLeastRecent();
    return stats;
  }

  /** Closes what was kept for a container. */
  forget(container: string): void {
    this.#kept.get(container)?.files.close();
    this.#kept.delete(container);
  }

  #closeLeastRecent(): void {
    for (const { files } of this.#kept.values()) {
      if (this.open <= maxDescriptors) return;
      files.close();
    }
  }

  /** One container after another: a read that the kernel delays occupies one thread of the pool. */
  #readInPool(files: KernelFiles, paths: CgroupPaths): Promise<CgroupStats> {
    return this.#poolReads.run(async () => {
      const wanted: { readonly directory: string; readonly name: string }[] = [];
      const names = (directory: string): ReadonlySet<string> => files.names(directory);
      statsOf(paths, { read: (directory, name) => void wanted.push({ directory, name }), names });
      const texts = new Map<string, string | undefined>();
      for (const { directory, name } of wanted) {
        if (!names(directory).has(name)) continue;
        const path = join(directory, name);
        texts.set(path, await readInPool(path));
      }
      return statsOf(paths, { read: (directory, name) => texts.get(join(directory, name)), names });
    });
  }
}

function ownCpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function statsOf(paths: CgroupPaths, files: StatsFiles): CgroupStats {
  if (paths.version === 2) return statsV2(new StatsDirectory(files, paths.directory));
  return statsV1((controller) => new StatsDirectory(files, paths.controllers.get(controller)));
}

/** Undefined: the kernel does not have the file, or the cgroup is gone. */
async function readInPool(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV', 'EOPNOTSUPP')) return undefined;
    throw error;
  }
}
