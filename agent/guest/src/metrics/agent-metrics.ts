import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metric, Sample } from './metric.js';
import { namedNumbers, processStat } from './proc-text.js';

/** USER_HZ, the same on all supported architectures. */
const ticksPerSecond = 100;
const pageSize = 4096;

/** Indexes of fields in /proc/self/stat, from its third field (proc_pid_stat(5)). */
const stat = { utime: 11, stime: 12, cutime: 13, cstime: 14, threads: 17, vsize: 20, rss: 21 } as const;

const statusItems = [
  'VmPeak',
  'VmSize',
  'VmLck',
  'VmPin',
  'VmHWM',
  'VmRSS',
  'RssAnon',
  'RssFile',
  'RssShmem',
  'VmData',
  'VmStk',
  'VmExe',
  'VmLib',
  'VmPTE',
  'VmSwap',
  'HugetlbPages',
  'voluntary_ctxt_switches',
  'nonvoluntary_ctxt_switches',
] as const;

/** Metrics of the agent's own process, with the names of Kata's agent (docs/records/kata-facts.md, "Metrics and log"). */
export const agentMetrics: readonly Metric[] = [
  single('kata_agent_threads', 'Threads of the agent.', (proc) => statField(proc, stat.threads)),
  single('kata_agent_total_time', 'CPU time of the agent, in seconds.', (proc) => {
    return (statField(proc, stat.utime) + statField(proc, stat.stime)) / ticksPerSecond;
  }),
  single('kata_agent_total_vm', 'Virtual memory of the agent, in bytes.', (proc) =>
    statField(proc, stat.vsize),
  ),
  single(
    'kata_agent_total_rss',
    'Resident memory of the agent, in bytes.',
    (proc) => statField(proc, stat.rss) * pageSize,
  ),
  {
    name: 'kata_agent_proc_status',
    help: 'Values of /proc/self/status; sizes in KiB.',
    labels: ['item'],
    read: (proc) => {
      const values = namedNumbers(readFileSync(join(proc, 'self/status'), 'utf8'));
      return statusItems.map((name) => item(name.toLowerCase(), values.get(name) ?? 0));
    },
  },
  {
    name: 'kata_agent_io_stat',
    help: 'Values of /proc/self/io.',
    labels: ['item'],
    read: (proc) => {
      const values = namedNumbers(readFileSync(join(proc, 'self/io'), 'utf8'));
      return Array.from(values, ([name, value]) => item(name, value));
    },
  },
  {
    name: 'kata_agent_proc_stat',
    help: 'CPU time of the agent and its children, in ticks.',
    labels: ['item'],
    read: (proc) =>
      (['utime', 'stime', 'cutime', 'cstime'] as const).map((name) =>
        item(name, statField(proc, stat[name])),
      ),
  },
];

function single(name: string, help: string, read: (proc: string) => number): Metric {
  return { name, help, labels: [], read: (proc) => [{ labels: {}, value: read(proc) }] };
}

function statField(proc: string, field: number): number {
  return processStat(readFileSync(join(proc, 'self/stat'), 'utf8'))[field] ?? 0;
}

function item(name: string, value: number): Sample {
  return { labels: { item: name }, value };
}
