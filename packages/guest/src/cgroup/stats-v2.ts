import { join } from 'node:path';
import type { BlkioEntry, CgroupStats, HugetlbStats } from './container-stats.js';
import { count } from './cgroup-files.js';
import { hugePageSizes } from './huge-pages.js';
import { readCount, readStats, readStatsTable } from './stats-files.js';
import { pidsLimit } from './stats-v1.js';

/** Reads the files of cgroup v2 (kernel Documentation/admin-guide/cgroup-v2.rst). Their times are in microseconds. */
export async function statsV2(directory: string): Promise<CgroupStats> {
  const file = (name: string): string => join(directory, name);
  const cpu = await readStatsTable(file('cpu.stat'));
  const memory = await readStatsTable(file('memory.stat'));
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
        usage: await readCount(file('memory.current')),
        maxUsage: await readCount(file('memory.peak')),
        failCount: (await readStatsTable(file('memory.events')))['max'] ?? 0n,
        limit: await readCount(file('memory.max')),
      },
      swap: {
        usage: await readCount(file('memory.swap.current')),
        maxUsage: await readCount(file('memory.swap.peak')),
        failCount: (await readStatsTable(file('memory.swap.events')))['fail'] ?? 0n,
        limit: await readCount(file('memory.swap.max')),
      },
      // Kernel memory is part of memory.current and has no limit of its own.
      kernel: { usage: memory['kernel'] ?? 0n, maxUsage: 0n, failCount: 0n, limit: 0n },
      useHierarchy: true,
      stats: memory,
    },
    pids: { current: await readCount(file('pids.current')), limit: await pidsLimit(file('pids.max')) },
    blkio: {
      serviceBytes: ioEntries(await readStats(file('io.stat')), {
        rbytes: 'read',
        wbytes: 'write',
        dbytes: 'discard',
      }),
      serviced: ioEntries(await readStats(file('io.stat')), { rios: 'read', wios: 'write', dios: 'discard' }),
      queued: [],
      serviceTime: [],
      waitTime: [],
      merged: [],
      time: [],
      sectors: [],
    },
    hugetlb: await hugetlb(directory),
  };
}

/** Parses lines of `8:0 rbytes=4096 wbytes=0 rios=1 …`. `operations`: the counters to return, with the v1 name of each. */
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

async function hugetlb(directory: string): Promise<Readonly<Record<string, HugetlbStats>>> {
  const stats: Record<string, HugetlbStats> = {};
  for (const size of hugePageSizes(directory, 'current')) {
    const prefix = join(directory, `hugetlb.${size}`);
    stats[size] = {
      usage: await readCount(`${prefix}.current`),
      maxUsage: 0n,
      failCount: (await readStatsTable(`${prefix}.events`))['max'] ?? 0n,
    };
  }
  return stats;
}
