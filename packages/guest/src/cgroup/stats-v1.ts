import { join } from 'node:path';
import type { BlkioEntry, BlkioStats, CgroupStats, HugetlbStats, MemoryUsage } from '../container-stats.js';
import { count, readCgroupFile, readCount, readTable } from './cgroup-files.js';
import { hugePageSizes } from './huge-pages.js';

/** Clock ticks of cpuacct.stat are hundredths of a second on every architecture (USER_HZ). */
const TICK_NS = 10_000_000n;

/** Reads the files of cgroup v1's controllers (kernel Documentation/admin-guide/cgroup-v1). */
export function statsV1(controllers: ReadonlyMap<string, string>): CgroupStats {
  const file = (controller: string, name: string): string =>
    join(controllers.get(controller) ?? '/nonexistent', name);
  const cpuacct = readTable(file('cpuacct', 'cpuacct.stat'));
  const throttling = readTable(file('cpu', 'cpu.stat'));
  const memory = readTable(file('memory', 'memory.stat'));
  return {
    cpu: {
      usage: {
        total: readCount(file('cpuacct', 'cpuacct.usage')),
        perCpu: perCpu(readCgroupFile(file('cpuacct', 'cpuacct.usage_percpu'))),
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
      usage: memoryUsage(file('memory', 'memory')),
      swap: memoryUsage(file('memory', 'memory.memsw')),
      kernel: memoryUsage(file('memory', 'memory.kmem')),
      useHierarchy: readCount(file('memory', 'memory.use_hierarchy')) === 1n,
      stats: memory,
    },
    pids: { current: readCount(file('pids', 'pids.current')), limit: pidsLimit(file('pids', 'pids.max')) },
    blkio: blkio((name) => file('blkio', name)),
    hugetlb: hugetlb(controllers.get('hugetlb')),
  };
}

/** `max` is no limit, which the protocol writes as 0. */
export function pidsLimit(path: string): bigint {
  const text = readCgroupFile(path)?.trim();
  return text === 'max' ? 0n : count(text);
}

function perCpu(text: string | undefined): readonly bigint[] {
  return (text ?? '').trim().split(/\s+/).filter(Boolean).map(count);
}

function memoryUsage(prefix: string): MemoryUsage {
  return {
    usage: readCount(`${prefix}.usage_in_bytes`),
    maxUsage: readCount(`${prefix}.max_usage_in_bytes`),
    failCount: readCount(`${prefix}.failcnt`),
    limit: readCount(`${prefix}.limit_in_bytes`),
  };
}

/** CFQ's and BFQ's files where they are, else the throttling policy's, which every kernel has. */
function blkio(file: (name: string) => string): BlkioStats {
  const first = (...names: readonly string[]): readonly BlkioEntry[] => {
    for (const name of names) {
      const entries = blkioEntries(readCgroupFile(file(`blkio.${name}`)));
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

/** `8:0 Read 4096`, or `8:0 4096` in files without an operation; the last line, `Total 4096`, is for all devices. */
function blkioEntries(text: string | undefined): readonly BlkioEntry[] {
  return (text ?? '').split('\n').flatMap((line) => {
    const match = /^(\d+):(\d+)(?: (\w+))? (\d+)$/.exec(line);
    if (match === null) return [];
    const [, major, minor, op = '', value] = match;
    return [{ major: count(major), minor: count(minor), op: op.toLowerCase(), value: count(value) }];
  });
}

function hugetlb(directory: string | undefined): Readonly<Record<string, HugetlbStats>> {
  if (directory === undefined) return {};
  return Object.fromEntries(
    hugePageSizes(directory, 'usage_in_bytes').map((size) => {
      const prefix = join(directory, `hugetlb.${size}`);
      return [
        size,
        {
          usage: readCount(`${prefix}.usage_in_bytes`),
          maxUsage: readCount(`${prefix}.max_usage_in_bytes`),
          failCount: readCount(`${prefix}.failcnt`),
        },
      ];
    }),
  );
}
