import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FileSystem } from './file-systems.js';

const unusualNames: ReadonlyMap<string, string> = new Map([
  ['Percpu', 'per_cpu'],
  ['AnonHugePages', 'anon_hugepages'],
  ['ShmemHugePages', 'shmem_hugepages'],
  ['Hugepagesize', 'hugepagesize'],
  ['HugePages_Total', 'hugepages_total'],
  ['HugePages_Free', 'hugepages_free'],
  ['HugePages_Rsvd', 'hugepages_rsvd'],
  ['HugePages_Surp', 'hugepages_surp'],
  ['NFS_Unstable', 'nfs_unstable'],
  ['Committed_AS', 'committed_as'],
  ['DirectMap4k', 'direct_map_4k'],
  ['DirectMap4M', 'direct_map_4M'],
  ['DirectMap2M', 'direct_map_2M'],
  ['DirectMap1G', 'direct_map_1G'],
]);

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

const cpuItems = [
  'user',
  'nice',
  'system',
  'idle',
  'iowait',
  'irq',
  'softirq',
  'steal',
  'guest',
  'guest_nice',
] as const;

/** The kernel writes times in units of 1/100 s, whatever its own clock is (USER_HZ). */
const millisecondsPerTick = 10;

const diskItems = [
  'reads',
  'merged',
  'sectors_read',
  'time_reading',
  'writes',
  'writes_merged',
  'sectors_written',
  'time_writing',
  'in_progress',
  'time_in_progress',
  'weighted_time_in_progress',
  'discards',
  'discards_merged',
  'sectors_discarded',
  'time_discarding',
  'flushes',
  'time_flushing',
] as const;

const linkItems = [
  'recv_bytes',
  'recv_packets',
  'recv_errs',
  'recv_drop',
  'recv_fifo',
  'recv_frame',
  'recv_compressed',
  'recv_multicast',
  'sent_bytes',
  'sent_packets',
  'sent_errs',
  'sent_drop',
  'sent_fifo',
  'sent_colls',
  'sent_carrier',
  'sent_compressed',
] as const;

/** Metrics of the guest, with the names of Kata's agent (docs/records/kata-facts.md, "Metrics and log"). */
export const guestMetrics: readonly Metric[] = [
  {
    name: 'kata_guest_load',
    help: 'Load averages of the guest.',
    labels: ['item'],
    read: (proc) => {
      const [load1 = 0, load5 = 0, load15 = 0] = fields(text(proc, 'loadavg'));
      return labelled('item', { load1, load5, load15 });
    },
  },
  {
    name: 'kata_guest_tasks',
    help: 'Tasks: running (cur) and total (max).',
    labels: ['item'],
    read: (proc) => {
      const [cur = '0', max = '0'] = (text(proc, 'loadavg').split(' ')[3] ?? '').split('/');
      return labelled('item', { cur: Number(cur), max: Number(max) });
    },
  },
  {
    name: 'kata_guest_cpu_time',
    help: 'CPU time in milliseconds, total and per CPU.',
    labels: ['cpu', 'item'],
    read: (proc) =>
      lines(proc, 'stat').flatMap((line) => {
        const match = /^cpu(\d*) +(.*)$/.exec(line);
        if (match === null) return [];
        const cpu = match[1] === '' ? 'total' : (match[1] ?? '');
        return items(
          cpuItems,
          fields(match[2] ?? '').map((ticks) => ticks * millisecondsPerTick),
          { cpu },
        );
      }),
  },
  {
    name: 'kata_guest_vm_stat',
    help: 'Values of /proc/vmstat.',
    labels: ['item'],
    read: (proc) => labelled('item', Object.fromEntries(pairs(text(proc, 'vmstat')))),
  },
  {
    name: 'kata_guest_meminfo',
    help: 'Memory of the guest, in bytes; huge pages as a count.',
    labels: ['item'],
    read: (proc) =>
      Array.from(namedNumbers(text(proc, 'meminfo')), ([name, value]) => ({
        labels: { item: memoryItem(name) },
        value: name.startsWith('HugePages_') ? value : value * 1024,
      })),
  },
  {
    name: 'kata_guest_netdev_stat',
    help: 'Traffic of each network interface but loopback.',
    labels: ['interface', 'item'],
    read: (proc) =>
      lines(proc, 'net/dev').flatMap((line) => {
        const [left = '', counters] = line.split(':');
        const name = left.trim();
        // What the pod says to itself is not counted for the host (S40).
        return counters === undefined || name === 'lo'
          ? []
          : items(linkItems, fields(counters), { interface: name });
      }),
  },
  {
    name: 'kata_guest_diskstat',
    help: 'I/O of each disk; times in milliseconds.',
    labels: ['disk', 'item'],
    read: (proc) =>
      lines(proc, 'diskstats').flatMap((line) => {
        const [, , disk] = line.trim().split(/\s+/);
        return disk === undefined ? [] : items(diskItems, fields(line).slice(3), { disk });
      }),
  },
  {
    name: 'kata_guest_filesystem_bytes',
    help: 'Use of each file system that can run full, in bytes.',
    labels: ['mount', 'device', 'item'],
    read: (_, found) =>
      found.flatMap(({ mount, device, bsize, blocks, bfree }) =>
        usage(mount, device, blocks * bsize, bfree * bsize),
      ),
  },
  {
    name: 'kata_guest_filesystem_inodes',
    help: 'Inodes of each file system that can run full.',
    labels: ['mount', 'device', 'item'],
    read: (_, found) =>
      found.flatMap(({ mount, device, files, ffree }) => usage(mount, device, files, ffree)),
  },
];

function text(proc: string, name: string): string {
  return readFileSync(join(proc, name), 'utf8');
}

function lines(proc: string, name: string): readonly string[] {
  return text(proc, name).split('\n');
}

function labelled(label: string, values: Readonly<Record<string, number>>): readonly Sample[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }));
}

/** Pairs names with the columns of a line. Older kernels have fewer columns, so the last names may have no value. */
function items(
  names: readonly string[],
  values: readonly number[],
  labels: Readonly<Record<string, string>>,
): readonly Sample[] {
  return names.flatMap((item, index) => {
    const value = values[index];
    return value === undefined ? [] : [{ labels: { ...labels, item }, value }];
  });
}

function usage(mount: string, device: string, total: number, free: number): readonly Sample[] {
  const values = { total, used: Math.max(0, total - free), available: free };
  return Object.entries(values).map(([item, value]) => ({ labels: { mount, device, item }, value }));
}

function single(name: string, help: string, read: (proc: string) => number): Metric {
  return { name, help, labels: [], read: (proc) => [{ labels: {}, value: read(proc) }] };
}

function statField(proc: string, field: number): number {
  return processStat(readFileSync(join(proc, 'self/stat'), 'utf8'))[field] ?? 0;
}

function item(name: string, value: number): Sample {
  return { labels: { item: name }, value };
}

/**
 * Parses lines of `Name:  number unit`, as in /proc/meminfo, /proc/self/status and /proc/self/io; ignores other lines. Numbers
 * stay in the kernel's unit.
 */
export function namedNumbers(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([^:]+):\s*(\d+)(?: [a-zA-Z]+)?$/.exec(line.trim());
    if (match !== null) found.set(match[1] ?? '', Number(match[2]));
  }
  return found;
}

/** Parses lines of `name number`, as in /proc/vmstat. */
function pairs(text: string): ReadonlyMap<string, number> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [name = '', value = ''] = line.split(' ');
      return /^\d+$/.test(value) ? [[name, Number(value)] as const] : [];
    }),
  );
}

/** Parses the fields of a line as numbers; other text becomes 0. */
function fields(line: string): readonly number[] {
  return line
    .trim()
    .split(/\s+/)
    .map((field) => (/^\d+(\.\d+)?$/.test(field) ? Number(field) : 0));
}

/** Parses the fields of /proc/<pid>/stat from the third on: the command name before them may have spaces and parentheses. */
export function processStat(text: string): readonly number[] {
  return fields(text.slice(text.lastIndexOf(')') + 1));
}

/** Returns the label of Kata's agent for a name of /proc/meminfo: `active_anon` for `Active(anon)`. */
export function memoryItem(name: string): string {
  const unusual = unusualNames.get(name);
  if (unusual !== undefined) return unusual;
  return name
    .replace(/\((.*)\)/, '_$1')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replace(/^([SK])([A-Z])/, '$1_$2')
    .toLowerCase();
}

/** One value of a metric. */
interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric; `read` returns its current samples and runs at each scrape. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** `proc`: `/proc`; `fileSystems`: those that can run full. */
  readonly read: (proc: string, fileSystems: readonly FileSystem[]) => readonly Sample[];
}
