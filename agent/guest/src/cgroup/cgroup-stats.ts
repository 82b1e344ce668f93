import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Semaphore } from '@kata-agent/base';
import { hasCode, KernelFiles } from '@kata-agent/linux';
import { type CgroupPaths, count, parseTable } from './cgroup-paths.js';
import type { BlkioEntry, BlkioStats, CgroupStats, HugetlbStats, MemoryUsage } from './container-stats.js';

/** A clock tick of cpuacct.stat: USER_HZ is 100 on all supported architectures. */
const TICK_NS = 10_000_000n;

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

/** Reads the files of cgroup v1's controllers (kernel Documentation/admin-guide/cgroup-v1). */
function statsV1(of: (controller: string) => StatsDirectory): CgroupStats {
  const cpuacct = of('cpuacct').table('cpuacct.stat');
  const throttling = of('cpu').table('cpu.stat');
  const memory = of('memory').table('memory.stat');
  return {
    cpu: {
      usage: {
        total: of('cpuacct').count('cpuacct.usage'),
        perCpu: perCpu(of('cpuacct').text('cpuacct.usage_percpu')),
        kernel: (cpuacct['system'] ?? 0n) * TICK_NS,
        user: (cpuacct['user'] ?? 0n) * TICK_NS,
      },
      throttling: {
        periods: throttling['nr_periods'] ?? 0n,
        throttledPeriods: throttling['nr_throttled'] ?? 0n,
        throttledTime: throttling['throttled_time'] ?? 0n,
      },
    },
    memory: {
      cache: memory['cache'] ?? 0n,
      usage: memoryUsage(of('memory'), 'memory'),
      swap: memoryUsage(of('memory'), 'memory.memsw'),
      kernel: memoryUsage(of('memory'), 'memory.kmem'),
      useHierarchy: of('memory').count('memory.use_hierarchy') === 1n,
      stats: memory,
    },
    pids: {
      current: of('pids').count('pids.current'),
      limit: of('pids').pidsLimit('pids.max'),
    },
    blkio: blkio(of('blkio')),
    hugetlb: hugetlbV1(of('hugetlb')),
  };
}

function perCpu(text: string | undefined): readonly bigint[] {
  return (text ?? '').trim().split(/\s+/).filter(Boolean).map(count);
}

function memoryUsage(directory: StatsDirectory, prefix: string): MemoryUsage {
  return {
    usage: directory.count(`${prefix}.usage_in_bytes`),
    maxUsage: directory.count(`${prefix}.max_usage_in_bytes`),
    failCount: directory.count(`${prefix}.failcnt`),
    limit: directory.count(`${prefix}.limit_in_bytes`),
  };
}

/** Reads the files of the I/O scheduler (CFQ or BFQ) if it has any, else those of the throttling policy. */
function blkio(directory: StatsDirectory): BlkioStats {
  const first = (...names: readonly string[]): readonly BlkioEntry[] => {
    for (const name of names) {
      const entries = blkioEntries(directory.text(`blkio.${name}`));
      if (entries.length > 0) return entries;
    }
    return [];
  };
  return {
    serviceBytes: first(
      'io_service_bytes_recursive',
      'bfq.io_service_bytes_recursive',
      'throttle.io_service_bytes_recursive',
      'throttle.io_service_bytes',
    ),
    serviced: first(
      'io_serviced_recursive',
      'bfq.io_serviced_recursive',
      'throttle.io_serviced_recursive',
      'throttle.io_serviced',
    ),
    queued: first('io_queued_recursive', 'bfq.io_queued_recursive'),
    serviceTime: first('io_service_time_recursive', 'bfq.io_service_time_recursive'),
    waitTime: first('io_wait_time_recursive', 'bfq.io_wait_time_recursive'),
    merged: first('io_merged_recursive', 'bfq.io_merged_recursive'),
    time: first('time_recursive', 'bfq.time_recursive'),
    sectors: first('sectors_recursive', 'bfq.sectors_recursive'),
  };
}

/** Parses lines of `8:0 Read 4096`, or `8:0 4096` without an operation. Ignores the last, `Total 4096`: the sum of all devices. */
function blkioEntries(text: string | undefined): readonly BlkioEntry[] {
  return (text ?? '').split('\n').flatMap((line) => {
    const match = /^(\d+):(\d+)(?: (\w+))? (\d+)$/.exec(line);
    if (match === null) return [];
    const [, major, minor, op = '', value] = match;
    return [{ major: count(major), minor: count(minor), op: op.toLowerCase(), value: count(value) }];
  });
}

function hugetlbV1(directory: StatsDirectory): Readonly<Record<string, HugetlbStats>> {
  const stats: Record<string, HugetlbStats> = {};
  for (const size of hugePageSizes(directory.names, 'usage_in_bytes')) {
    const prefix = `hugetlb.${size}`;
    stats[size] = {
      usage: directory.count(`${prefix}.usage_in_bytes`),
      maxUsage: directory.count(`${prefix}.max_usage_in_bytes`),
      failCount: directory.count(`${prefix}.failcnt`),
    };
  }
  return stats;
}

/** The files of a cgroup's directories, as the readers of v1 and v2 ask for them. */
interface StatsFiles {
  /** The text of a file; undefined: the cgroup does not have it. */
  readonly read: (directory: string, name: string) => string | undefined;
  readonly names: (directory: string) => ReadonlySet<string>;
}

/** The files of one directory. Without a directory, as of a controller that the guest lacks, it has none. */
class StatsDirectory {
  readonly #files: StatsFiles;
  readonly #directory: string | undefined;

  constructor(files: StatsFiles, directory: string | undefined) {
    this.#files = files;
    this.#directory = directory;
  }

  get names(): ReadonlySet<string> {
    return this.#directory === undefined ? new Set() : this.#files.names(this.#directory);
  }

  text(name: string): string | undefined {
    return this.#directory === undefined ? undefined : this.#files.read(this.#directory, name);
  }

  /** A file that holds one number, or `max`. Absent: 0. */
  count(name: string): bigint {
    return count(this.text(name)?.trim());
  }

  /** A file of `name value` lines. Absent: no names. */
  table(name: string): Readonly<Record<string, bigint>> {
    return parseTable(this.text(name));
  }

  /** A limit of pids; `max` is 0, the protocol's value for no limit. */
  pidsLimit(name: string): bigint {
    const text = this.text(name)?.trim();
    return text === 'max' ? 0n : count(text);
  }
}

/** Reads the files of cgroup v2 (kernel Documentation/admin-guide/cgroup-v2.rst). Their times are in microseconds. */
function statsV2(directory: StatsDirectory): CgroupStats {
  const cpu = directory.table('cpu.stat');
  const memory = directory.table('memory.stat');
  const io = directory.text('io.stat');
  const nanoseconds = (name: string): bigint => (cpu[name] ?? 0n) * 1000n;
  return {
    cpu: {
      usage: {
        total: nanoseconds('usage_usec'),
        perCpu: [],
        kernel: nanoseconds('system_usec'),
        user: nanoseconds('user_usec'),
      },
      throttling: {
        periods: cpu['nr_periods'] ?? 0n,
        throttledPeriods: cpu['nr_throttled'] ?? 0n,
        throttledTime: nanoseconds('throttled_usec'),
      },
    },
    memory: {
      cache: memory['file'] ?? 0n,
      usage: {
        usage: directory.count('memory.current'),
        maxUsage: directory.count('memory.peak'),
        failCount: directory.table('memory.events')['max'] ?? 0n,
        limit: directory.count('memory.max'),
      },
      swap: {
        usage: directory.count('memory.swap.current'),
        maxUsage: directory.count('memory.swap.peak'),
        failCount: directory.table('memory.swap.events')['fail'] ?? 0n,
        limit: directory.count('memory.swap.max'),
      },
      // Kernel memory is part of memory.current and has no limit of its own.
      kernel: { usage: memory['kernel'] ?? 0n, maxUsage: 0n, failCount: 0n, limit: 0n },
      useHierarchy: true,
      stats: memory,
    },
    pids: { current: directory.count('pids.current'), limit: directory.pidsLimit('pids.max') },
    blkio: {
      // Operations too, under names of their own, as with Kata's agent: its Go shim reads nothing else.
      serviceBytes: ioEntries(io, {
        rbytes: 'read',
        wbytes: 'write',
        rios: 'rios',
        wios: 'wios',
        dbytes: 'dbytes',
        dios: 'dios',
      }),
      serviced: [],
      queued: [],
      serviceTime: [],
      waitTime: [],
      merged: [],
      time: [],
      sectors: [],
    },
    hugetlb: hugetlbV2(directory),
  };
}

/** Parses lines of `8:0 rbytes=4096 wbytes=0 rios=1 …`. `operations`: the counters to return, with the name of each in the reply. */
function ioEntries(
  text: string | undefined,
  operations: Readonly<Record<string, string>>,
): readonly BlkioEntry[] {
  return (text ?? '').split('\n').flatMap((line) => {
    const match = /^(\d+):(\d+) (.*)$/.exec(line);
    if (match === null) return [];
    const [, major, minor, counters = ''] = match;
    return counters.split(' ').flatMap((counter) => {
      const [name = '', value] = counter.split('=', 2);
      const op = Object.hasOwn(operations, name) ? operations[name] : undefined;
      return op === undefined ? [] : [{ major: count(major), minor: count(minor), op, value: count(value) }];
    });
  });
}

function hugetlbV2(directory: StatsDirectory): Readonly<Record<string, HugetlbStats>> {
  const stats: Record<string, HugetlbStats> = {};
  for (const size of hugePageSizes(directory.names, 'current')) {
    stats[size] = {
      usage: directory.count(`hugetlb.${size}.current`),
      maxUsage: 0n,
      failCount: directory.table(`hugetlb.${size}.events`)['max'] ?? 0n,
    };
  }
  return stats;
}

/** Returns the page sizes (`2MB`, `1GB`) for which a cgroup has a file `hugetlb.<size>.<suffix>`. */
function hugePageSizes(names: Iterable<string>, suffix: string): readonly string[] {
  const pattern = /^hugetlb\.([0-9]+[KMG]B)\.(.*)$/;
  return [...names].flatMap((name) => {
    const match = pattern.exec(name);
    return match?.[1] !== undefined && match[2] === suffix ? [match[1]] : [];
  });
}
