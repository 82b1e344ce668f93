import type { BlkioEntry, CgroupStats, HugetlbStats } from './container-stats.js';
import { count } from './cgroup-files.js';
import { hugePageSizes } from './huge-pages.js';
import type { StatsDirectory } from './stats-files.js';

/** Reads the files of cgroup v2 (kernel Documentation/admin-guide/cgroup-v2.rst). Their times are in microseconds. */
export function statsV2(directory: StatsDirectory): CgroupStats {
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
    hugetlb: hugetlb(directory),
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

function hugetlb(directory: StatsDirectory): Readonly<Record<string, HugetlbStats>> {
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
