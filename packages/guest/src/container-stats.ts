/**
 * A container's resource use in the protocol's shape (StatsContainerResponse). All counters are 64-bit.
 * On cgroup v2 what has no counterpart is 0 (max usage and fail counts of memory) or absent.
 */
export interface ContainerStats {
  readonly cpu: CpuStats;
  readonly memory: MemoryStats;
  readonly pids: PidsStats;
  readonly blkio: BlkioStats;
  /** By page size, as in "2MB". */
  readonly hugetlb: Readonly<Record<string, HugetlbStats>>;
  /** The sandbox's interfaces: containers share its network namespace. Kata's own agent leaves this empty. */
  readonly network: readonly NetworkStats[];
}

/** What a cgroup knows; the network is the sandbox's. */
export type CgroupStats = Omit<ContainerStats, 'network'>;

/** Nanoseconds. */
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

/** Bytes, but `failCount`. A limit that is not set is 2^64-1 on v2 and the kernel's own huge number on v1. */
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
  /** The lines of memory.stat. */
  readonly stats: Readonly<Record<string, bigint>>;
}

/** `limit` 0: none. */
export interface PidsStats {
  readonly current: bigint;
  readonly limit: bigint;
}

/** `op`: read, write, sync, async, discard or total; empty in files that tell none. */
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

/** Bytes, but `failCount`. */
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
