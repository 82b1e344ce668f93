import type { BlkioEntry, BlkioStats, CgroupStats, HugetlbStats, MemoryUsage } from './container-stats.js';
import { count } from './cgroup-files.js';
import { hugePageSizes } from './huge-pages.js';
import type { StatsDirectory } from './stats-files.js';

/** A clock tick of cpuacct.stat: USER_HZ is 100 on all supported architectures. */
const TICK_NS = 10_000_000n;

/** Reads the files of cgroup v1's controllers (kernel Documentation/admin-guide/cgroup-v1). */
export function statsV1(of: (controller: string) => StatsDirectory): CgroupStats {
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
    hugetlb: hugetlb(of('hugetlb')),
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

function hugetlb(directory: StatsDirectory): Readonly<Record<string, HugetlbStats>> {
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
