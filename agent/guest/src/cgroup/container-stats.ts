/**
 * A container's resource use in the form of StatsContainerResponse. All counters are 64-bit. Values that cgroup v2 does not
 * have are 0 or empty.
 */
export interface ContainerStats {
  readonly cpu: CpuStats;
  readonly memory: MemoryStats;
  readonly pids: PidsStats;
  readonly blkio: BlkioStats;
  /** By page size, such as `2MB`. */
  readonly hugetlb: Readonly<Record<string, HugetlbStats>>;
  /** The sandbox's interfaces: containers share its network namespace. Empty in Kata's own agent. */
  readonly network: readonly NetworkStats[];
}

/** The statistics of a cgroup. Those of the network belong to the sandbox. */
export type CgroupStats = Omit<ContainerStats, 'network'>;

/** Times in nanoseconds. */
export interface CpuStats {
  readonly usage: {
    readonly total: bigint;
    readonly perCpu: readonly bigint[];
    readonly kernel: bigint;
    readonly user: bigint;
  };
  readonly throttling: {
    readonly periods: bigint;
    readonly throttledPeriods: bigint;
    readonly throttledTime: bigint;
  };
}

/** In bytes, except `failCount`. Without a limit, `limit` is 2^64-1 on v2 and the kernel's maximum on v1. */
export interface MemoryUsage {
  readonly usage: bigint;
  readonly maxUsage: bigint;
  readonly failCount: bigint;
  readonly limit: bigint;
}

export interface MemoryStats {
  readonly cache: bigint;
  readonly usage: MemoryUsage;
  readonly swap: MemoryUsage;
  readonly kernel: MemoryUsage;
  readonly useHierarchy: boolean;
  /** The values of memory.stat. */
  readonly stats: Readonly<Record<string, bigint>>;
}

/** `limit` 0: no limit. */
export interface PidsStats {
  readonly current: bigint;
  readonly limit: bigint;
}

/** `op`: read, write, sync, async, discard or total; empty in files without operations. */
export interface BlkioEntry {
  readonly major: bigint;
  readonly minor: bigint;
  readonly op: string;
  readonly value: bigint;
}

export interface BlkioStats {
  readonly serviceBytes: readonly BlkioEntry[];
  readonly serviced: readonly BlkioEntry[];
  readonly queued: readonly BlkioEntry[];
  readonly serviceTime: readonly BlkioEntry[];
  readonly waitTime: readonly BlkioEntry[];
  readonly merged: readonly BlkioEntry[];
  readonly time: readonly BlkioEntry[];
  readonly sectors: readonly BlkioEntry[];
}

/** In bytes, except `failCount`. */
export interface HugetlbStats {
  readonly usage: bigint;
  readonly maxUsage: bigint;
  readonly failCount: bigint;
}

export interface NetworkStats {
  readonly name: string;
  readonly rxBytes: bigint;
  readonly rxPackets: bigint;
  readonly rxErrors: bigint;
  readonly rxDropped: bigint;
  readonly txBytes: bigint;
  readonly txPackets: bigint;
  readonly txErrors: bigint;
  readonly txDropped: bigint;
}
