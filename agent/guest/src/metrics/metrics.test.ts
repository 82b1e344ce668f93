import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { guestMetrics, memoryItem, namedNumbers, processStat } from './guest-metrics.js';
import { Metrics, type Registry } from './metrics.js';
import { RecordingSyscalls } from '@kata-agent/linux';
import { directMedia } from '../media-thread/direct-media.js';
import { openRegistry } from './registry.js';

const open = (): Promise<Registry> => openRegistry('/proc', directMedia(new RecordingSyscalls()));

const names = [
  'kata_agent_scrape_count',
  'kata_agent_threads',
  'kata_agent_total_time',
  'kata_agent_total_vm',
  'kata_agent_total_rss',
  'kata_agent_proc_status',
  'kata_agent_io_stat',
  'kata_agent_proc_stat',
  'kata_guest_load',
  'kata_guest_tasks',
  'kata_guest_vm_stat',
  'kata_guest_meminfo',
  'kata_guest_cpu_time',
  'kata_guest_netdev_stat',
  'kata_guest_diskstat',
  'kata_guest_filesystem_bytes',
  'kata_guest_filesystem_inodes',
];

/** Returns the value of a sample. `sample`: its name and labels in the text format. */
function valueOf(text: string, sample: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${sample} `));
  assert.ok(line !== undefined, `no ${sample} in the scrape`);
  return Number(line.slice(sample.length + 1));
}

test('a scrape has every metric of the agent and of the guest', async () => {
  const metrics = new Metrics();
  const first = await metrics.scrape(open);
  for (const name of names) assert.match(first, new RegExp(`^# HELP ${name} `, 'm'));
  assert.equal(valueOf(first, 'kata_agent_scrape_count'), 1);
  assert.equal(valueOf(await metrics.scrape(open), 'kata_agent_scrape_count'), 2);
});

test('calls during a scrape share its result', async () => {
  const metrics = new Metrics();
  const texts = await Promise.all(Array.from({ length: 100 }, () => metrics.scrape(open)));
  assert.deepEqual(new Set(texts.map((text) => valueOf(text, 'kata_agent_scrape_count'))), new Set([1]));
  assert.equal(valueOf(await metrics.scrape(open), 'kata_agent_scrape_count'), 2);
});

test('the values match those of the kernel', async () => {
  const scrape = await new Metrics().scrape(open);
  const { rss } = process.memoryUsage();
  const reported = valueOf(scrape, 'kata_agent_total_rss');
  assert.ok(reported > rss / 2 && reported < rss * 2, `${reported} bytes reported, ${rss} by Node`);
  assert.ok(valueOf(scrape, 'kata_agent_threads') >= 1);
  assert.ok(valueOf(scrape, 'kata_guest_meminfo{item="mem_total"}') > 1024 * 1024 * 64);
  assert.ok(valueOf(scrape, 'kata_guest_meminfo{item="active_anon"}') > 0);
  assert.ok(valueOf(scrape, 'kata_guest_cpu_time{cpu="total",item="user"}') > 0);
  assert.ok(valueOf(scrape, 'kata_guest_cpu_time{cpu="0",item="idle"}') >= 0);
  assert.doesNotMatch(scrape, /interface="lo"/);
  assert.ok(valueOf(scrape, 'kata_guest_tasks{item="max"}') > 1);
});

test('CPU time is in milliseconds, as with Kata’s agent', (t) => {
  const proc = mkdtempSync(join(tmpdir(), 'guest-metrics-'));
  t.after(() => rmSync(proc, { recursive: true }));
  writeFileSync(join(proc, 'stat'), 'cpu  12 0 3 400 5 0 0 0 0 0\ncpu0 12 0 3 400 5 0 0 0 0 0\nintr 1 2\n');
  const cpuTime = guestMetrics.find(({ name }) => name === 'kata_guest_cpu_time');
  const samples = cpuTime?.read(proc, []) ?? [];
  const total = samples.filter(({ labels }) => labels['cpu'] === 'total');
  assert.deepEqual(
    total.slice(0, 5).map(({ labels, value }) => [labels['item'], value]),
    [
      ['user', 120],
      ['nice', 0],
      ['system', 30],
      ['idle', 4000],
      ['iowait', 50],
    ],
  );
});

test('an item that the kernel does not have is left out, and 0 is a value', (t) => {
  const proc = mkdtempSync(join(tmpdir(), 'guest-metrics-'));
  t.after(() => rmSync(proc, { recursive: true }));
  const itemsOf = (name: string, file: string, text: string): readonly unknown[] => {
    writeFileSync(join(proc, file), text);
    const metric = guestMetrics.find((each) => each.name === name);
    return (metric?.read(proc, []) ?? []).map(({ labels, value }) => [labels['item'], value]);
  };
  // A kernel without huge pages, swap, CMA.
  assert.deepEqual(itemsOf('kata_guest_meminfo', 'meminfo', 'MemTotal:  4 kB\nMemFree:   0 kB\n'), [
    ['mem_total', 4096],
    ['mem_free', 0],
  ]);
  // One before 4.18, which counts neither discards nor flushes; and one before 2.6.33, without time of guests.
  const disk = itemsOf('kata_guest_diskstat', 'diskstats', ' 254 0 vda 1 2 3 4 5 6 7 8 0 10 11\n');
  assert.deepEqual(disk.slice(-3), [
    ['in_progress', 0],
    ['time_in_progress', 10],
    ['weighted_time_in_progress', 11],
  ]);
  assert.equal(disk.length, 11);
  assert.deepEqual(itemsOf('kata_guest_cpu_time', 'stat', 'cpu  1 2\n'), [
    ['user', 10],
    ['nice', 20],
  ]);
});

test('labels of meminfo are those of Kata', () => {
  const expected = {
    MemTotal: 'mem_total',
    'Active(anon)': 'active_anon',
    SReclaimable: 's_reclaimable',
    KReclaimable: 'k_reclaimable',
    SUnreclaim: 's_unreclaim',
    SwapCached: 'swap_cached',
    WritebackTmp: 'writeback_tmp',
    Committed_AS: 'committed_as',
    HugePages_Total: 'hugepages_total',
    DirectMap2M: 'direct_map_2M',
    ShmemPmdMapped: 'shmem_pmd_mapped',
    Percpu: 'per_cpu',
  };
  for (const [name, label] of Object.entries(expected)) assert.equal(memoryItem(name), label);
});

test('files of procfs are parsed', () => {
  assert.deepEqual(
    [...namedNumbers('Name:\tnode\nVmPeak:\t  12 kB\nThreads:\t7\n')],
    [
      ['VmPeak', 12],
      ['Threads', 7],
    ],
  );
  assert.equal(processStat('12 (a b) c) S 1 2 3')[1], 1);
});
