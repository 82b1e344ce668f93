import { join } from 'node:path';
import type { BlkioEntry, CgroupStats, HugetlbStats } from '../container-stats.js';
import { count, readCgroupFile, readCount, readTable } from './cgroup-files.js';
import { hugePageSizes } from './huge-pages.js';
import { pidsLimit } from './stats-v1.js';

/** Reads the files of cgroup v2 (kernel Documentation/admin-guide/cgroup-v2.rst). Times there are microseconds. */
export function statsV2(directory: string): CgroupStats {
  const file = (name: string): string => join(directory, name);
  const cpu = readTable(file('cpu.stat'));
  const memory = readTable(file('memory.stat'));
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
        usage: readCount(file('memory.current')),
        maxUsage: readCount(file('memory.peak')),
        failCount: readTable(file('memory.events'))['max'] ?? 0n,
        limit: readCount(file('memory.max')),
      },
      swap: {
        usage: readCount(file('memory.swap.current')),
        maxUsage: readCount(file('memory.swap.peak')),
        failCount: readTable(file('memory.swap.events'))['fail'] ?? 0n,
        limit: readCount(file('memory.swap.max')),
      },
      // The kernel's memory is part of memory.current and has no limit of its own.
      kernel: { usage: memory['kernel'] ?? 0n, maxUsage: 0n, failCount: 0n, limit: 0n },
      useHierarchy: true,
      stats: memory,
    },
    pids: { current: readCount(file('pids.current')), limit: pidsLimit(file('pids.max')) },
    blkio: {
      serviceBytes: ioEntries(readCgroupFile(file('io.stat')), {
        rbytes: 'read',
        wbytes: 'write',
        dbytes: 'discard',
      }),
      serviced: ioEntries(readCgroupFile(file('io.stat')), { rios: 'read', wios: 'write', dios: 'discard' }),
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

/** `8:0 rbytes=4096 wbytes=0 rios=1 …`: the counters named in `operations`, under the names that v1 gives them. */
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

function hugetlb(directory: string): Readonly<Record<string, HugetlbStats>> {
  return Object.fromEntries(
    hugePageSizes(directory, 'current').map((size) => {
      const prefix = join(directory, `hugetlb.${size}`);
      return [
        size,
        {
          usage: readCount(`${prefix}.current`),
          maxUsage: 0n,
          failCount: readTable(`${prefix}.events`)['max'] ?? 0n,
        },
      ];
    }),
  );
}
