import { join } from 'node:path';
import type { BlkioEntry, BlkioStats, CgroupStats, HugetlbStats, MemoryUsage } from './container-stats.js';
import { count } from './cgroup-files.js';
import { hugePageSizes } from './huge-pages.js';
import { readCount, readStats, readStatsTable } from './stats-files.js';

/** A clock tick of cpuacct.stat: USER_HZ is 100 on all supported architectures. */
const TICK_NS = 10_000_000n;

/** Reads the files of cgroup v1's controllers (kernel Documentation/admin-guide/cgroup-v1). */
export async function statsV1(controllers: ReadonlyMap<string, string>): Promise<CgroupStats> {
  const file = (controller: string, name: string): string =>
    join(controllers.get(controller) ?? '/nonexistent', name);
  const cpuacct = await readStatsTable(file('cpuacct', 'cpuacct.stat'));
  const throttling = await readStatsTable(file('cpu', 'cpu.stat'));
  const memory = await readStatsTable(file('memory', 'memory.stat'));
  return {
    cpu: {
      usage: {
        total: await readCount(file('cpuacct', 'cpuacct.usage')),
        perCpu: perCpu(await readStats(file('cpuacct', 'cpuacct.usage_percpu'))),
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
      usage: await memoryUsage(file('memory', 'memory')),
      swap: await memoryUsage(file('memory', 'memory.memsw')),
      kernel: await memoryUsage(file('memory', 'memory.kmem')),
      useHierarchy: (await readCount(file('memory', 'memory.use_hierarchy'))) === 1n,
      stats: memory,
    },
    pids: {
      current: await readCount(file('pids', 'pids.current')),
      limit: await pidsLimit(file('pids', 'pids.max')),
    },
    blkio: await blkio((name) => file('blkio', name)),
    hugetlb: await hugetlb(controllers.get('hugetlb')),
  };
}

/** Reads the limit of pids; `max` is 0, the protocol's value for no limit. */
export async function pidsLimit(path: string): Promise<bigint> {
  const text = (await readStats(path))?.trim();
  return text === 'max' ? 0n : count(text);
}

function perCpu(text: string | undefined): readonly bigint[] {
  return (text ?? '').trim().split(/\s+/).filter(Boolean).map(count);
}

async function memoryUsage(prefix: string): Promise<MemoryUsage> {
  return {
    usage: await readCount(`${prefix}.usage_in_bytes`),
    maxUsage: await readCount(`${prefix}.max_usage_in_bytes`),
    failCount: await readCount(`${prefix}.failcnt`),
    limit: await readCount(`${prefix}.limit_in_bytes`),
  };
}

/** Reads the files of the I/O scheduler (CFQ or BFQ) if it has any, else those of the throttling policy. */
async function blkio(file: (name: string) => string): Promise<BlkioStats> {
  const first = async (...names: readonly string[]): Promise<readonly BlkioEntry[]> => {
    for (const name of names) {
      const entries = blkioEntries(await readStats(file(`blkio.${name}`)));
      if (entries.length > 0) return entries;
    }
    return [];
  };
  return {
    serviceBytes: await first(
      'io_service_bytes_recursive',
      'bfq.io_service_bytes_recursive',
      'throttle.io_service_bytes_recursive',
      'throttle.io_service_bytes',
    ),
    serviced: await first(
      'io_serviced_recursive',
      'bfq.io_serviced_recursive',
      'throttle.io_serviced_recursive',
      'throttle.io_serviced',
    ),
    queued: await first('io_queued_recursive', 'bfq.io_queued_recursive'),
    serviceTime: await first('io_service_time_recursive', 'bfq.io_service_time_recursive'),
    waitTime: await first('io_wait_time_recursive', 'bfq.io_wait_time_recursive'),
    merged: await first('io_merged_recursive', 'bfq.io_merged_recursive'),
    time: await first('time_recursive', 'bfq.time_recursive'),
    sectors: await first('sectors_recursive', 'bfq.sectors_recursive'),
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

async function hugetlb(directory: string | undefined): Promise<Readonly<Record<string, HugetlbStats>>> {
  if (directory === undefined) return {};
  const stats: Record<string, HugetlbStats> = {};
  for (const size of hugePageSizes(directory, 'usage_in_bytes')) {
    const prefix = join(directory, `hugetlb.${size}`);
    stats[size] = {
      usage: await readCount(`${prefix}.usage_in_bytes`),
      maxUsage: await readCount(`${prefix}.max_usage_in_bytes`),
      failCount: await readCount(`${prefix}.failcnt`),
    };
  }
  return stats;
}
