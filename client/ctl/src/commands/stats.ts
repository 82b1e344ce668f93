import {
  AgentService,
  type MemoryData,
  type StatsContainerResponse,
  StatsContainerResponseSchema,
} from '@kata-agent/protocol/agent';
import { messageToJson } from '../calls.js';
import {
  type CommandDefinition,
  ExitCode,
  formatBytes,
  printReport,
  renderTable,
  withAgent,
} from '@kata-agent/cli';

export const stats: CommandDefinition = {
  path: 'stats',
  summary: 'print the resource usage of a container',
  details: ['Calls StatsContainer. --format json prints every counter.'],
  operands: [{ syntax: '<container>', description: 'the container’s ID' }],
  examples: [
    {
      line: 'kata-agent-ctl stats web',
      description: 'Prints CPU time, memory, processes, disk and network.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const containerId = invocation.operands[0] ?? '';
    const reply = await withAgent(invocation, (agent) =>
      agent.call(AgentService.method.statsContainer, { containerId }),
    );
    await printReport(invocation, messageToJson(StatsContainerResponseSchema, reply), () =>
      renderTable(statsRows(reply)),
    );
    return ExitCode.Success;
  },
};

/** The kernel writes "no limit" as its largest page-aligned number. */
const noLimit = 2n ** 62n;

function statsRows(reply: StatsContainerResponse): string[][] {
  const cgroup = reply.cgroupStats;
  const cpu = cgroup?.cpuStats?.cpuUsage;
  const throttling = cgroup?.cpuStats?.throttlingData;
  const pids = cgroup?.pidsStats;
  const rows = [
    ['cpu', seconds(cpu?.totalUsage ?? 0n)],
    ['  in the kernel', seconds(cpu?.usageInKernelmode ?? 0n)],
    ['  in user space', seconds(cpu?.usageInUsermode ?? 0n)],
    ['  throttled', seconds(throttling?.throttledTime ?? 0n)],
    ['memory', memory(cgroup?.memoryStats?.usage)],
    ['  of which cache', formatBytes(cgroup?.memoryStats?.cache ?? 0n)],
    ['  with swap', memory(cgroup?.memoryStats?.swapUsage)],
    ['processes', limited(String(pids?.current ?? 0n), pids?.limit ?? 0n, String)],
  ];
  for (const op of ['read', 'write']) {
    const entries = cgroup?.blkioStats?.ioServiceBytesRecursive ?? [];
    const bytes = entries
      .filter((entry) => entry.op.toLowerCase() === op)
      .reduce((sum, entry) => sum + entry.value, 0n);
    rows.push([`disk ${op}`, formatBytes(bytes)]);
  }
  for (const network of reply.networkStats) {
    const moved = `${formatBytes(network.rxBytes)} in, ${formatBytes(network.txBytes)} out`;
    rows.push([`network ${network.name}`, moved]);
  }
  return rows;
}

function seconds(nanoseconds: bigint): string {
  return `${(Number(nanoseconds / 1000n) / 1e6).toFixed(3)} s`;
}

function memory(data: MemoryData | undefined): string {
  return limited(formatBytes(data?.usage ?? 0n), data?.limit ?? 0n, formatBytes);
}

function limited(used: string, limit: bigint, format: (limit: bigint) => string): string {
  return limit === 0n || limit >= noLimit ? used : `${used} of ${format(limit)}`;
}
