import type { MessageInitShape } from '@bufbuild/protobuf';
import type { BlkioEntry, ContainerStats, HugetlbStats, MemoryUsage } from '@kata-agent/guest';
import type { StatsContainerResponseSchema } from '@kata-agent/protocol/agent';

/** Converts a container's resource usage for the wire. */
export function wireStats(stats: ContainerStats): MessageInitShape<typeof StatsContainerResponseSchema> {
  const { cpu, memory, pids, blkio } = stats;
  return {
    cgroupStats: {
      cpuStats: {
        cpuUsage: {
          totalUsage: cpu.usage.total,
          percpuUsage: [...cpu.usage.perCpu],
          usageInKernelmode: cpu.usage.kernel,
          usageInUsermode: cpu.usage.user,
        },
        throttlingData: cpu.throttling,
      },
      memoryStats: {
        cache: memory.cache,
        usage: memoryData(memory.usage),
        swapUsage: memoryData(memory.swap),
        kernelUsage: memoryData(memory.kernel),
        useHierarchy: memory.useHierarchy,
        stats: memory.stats,
      },
      pidsStats: pids,
      blkioStats: {
        ioServiceBytesRecursive: blkioEntries(blkio.serviceBytes),
        ioServicedRecursive: blkioEntries(blkio.serviced),
        ioQueuedRecursive: blkioEntries(blkio.queued),
        ioServiceTimeRecursive: blkioEntries(blkio.serviceTime),
        ioWaitTimeRecursive: blkioEntries(blkio.waitTime),
        ioMergedRecursive: blkioEntries(blkio.merged),
        ioTimeRecursive: blkioEntries(blkio.time),
        sectorsRecursive: blkioEntries(blkio.sectors),
      },
      hugetlbStats: Object.fromEntries(
        Object.entries(stats.hugetlb).map(([size, use]) => [size, hugetlb(use)]),
      ),
    },
    networkStats: stats.network.map((device) => ({ ...device })),
  };
}

function memoryData({ usage, maxUsage, failCount, limit }: MemoryUsage) {
  return { usage, maxUsage, failcnt: failCount, limit };
}

function hugetlb({ usage, maxUsage, failCount }: HugetlbStats) {
  return { usage, maxUsage, failcnt: failCount };
}

function blkioEntries(entries: readonly BlkioEntry[]) {
  return entries.map((entry) => ({ ...entry }));
}
