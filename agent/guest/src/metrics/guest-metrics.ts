import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metric, Sample } from './metric.js';
import { fields, memoryItem, namedNumbers, pairs } from './proc-text.js';

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
