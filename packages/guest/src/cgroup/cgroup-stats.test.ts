import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { makeTree } from '../testing/tree.js';
import { UNLIMITED } from './cgroup-files.js';
import { CgroupStatsReader } from './cgroup-stats.js';
import { parseNetworkDevices } from './network-stats.js';

// Files of a Linux 6.12 guest with cgroup2.
const v2 = {
  'cpu.stat':
    'usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 4\nnr_throttled 2\nthrottled_usec 30\n',
  'memory.current': '770048\n',
  'memory.peak': '800000\n',
  'memory.max': 'max\n',
  'memory.swap.current': '0\n',
  'memory.swap.max': '4096\n',
  'memory.events': 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n',
  'memory.stat': 'anon 45056\nfile 8192\nkernel 12288\npgfault 99\n',
  'pids.current': '2\n',
  'pids.max': 'max\n',
  'io.stat': '254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n253:1 \n',
  'hugetlb.2MB.current': '2097152\n',
  'hugetlb.2MB.max': 'max\n',
  'hugetlb.2MB.events': 'max 7\n',
};

test('cgroup v2', async (t) => {
  const directory = makeTree(v2);
  t.after(() => rmSync(directory, { recursive: true }));
  const stats = await new CgroupStatsReader().read({ version: 2, directory });
  assert.deepEqual(stats.cpu, {
    usage: { total: 1_500_000n, perCpu: [], kernel: 500_000n, user: 1_000_000n },
    throttling: { periods: 4n, throttledPeriods: 2n, throttledTime: 30_000n },
  });
  assert.deepEqual(stats.memory.usage, {
    usage: 770048n,
    maxUsage: 800000n,
    failCount: 3n,
    limit: UNLIMITED,
  });
  assert.equal(stats.memory.swap.limit, 4096n);
  assert.equal(stats.memory.cache, 8192n);
  assert.equal(stats.memory.kernel.usage, 12288n);
  assert.equal(stats.memory.stats['pgfault'], 99n);
  assert.deepEqual(stats.pids, { current: 2n, limit: 0n });
  assert.deepEqual(stats.blkio.serviceBytes[0], { major: 254n, minor: 0n, op: 'read', value: 4096n });
  assert.deepEqual(
    stats.blkio.serviced.map(({ op, value }) => [op, value]),
    [
      ['read', 1n],
      ['write', 0n],
      ['discard', 0n],
    ],
  );
  assert.deepEqual(stats.hugetlb, { '2MB': { usage: 2097152n, maxUsage: 0n, failCount: 7n } });
});

test('cgroup v1', async (t) => {
  const root = makeTree({
    'cpuacct/c/cpuacct.usage': '123456789\n',
    'cpuacct/c/cpuacct.usage_percpu': '100 23 \n',
    'cpuacct/c/cpuacct.stat': 'user 7\nsystem 5\n',
    'cpu/c/cpu.stat': 'nr_periods 1\nnr_throttled 2\nthrottled_time 3\n',
    'memory/c/memory.stat': 'cache 11\nrss 12\n',
    'memory/c/memory.usage_in_bytes': '13\n',
    'memory/c/memory.max_usage_in_bytes': '14\n',
    'memory/c/memory.failcnt': '15\n',
    'memory/c/memory.limit_in_bytes': '9223372036854771712\n',
    'memory/c/memory.use_hierarchy': '1\n',
    'pids/c/pids.current': '3\n',
    'pids/c/pids.max': '77\n',
    'blkio/c/blkio.throttle.io_service_bytes_recursive':
      '8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n',
  });
  t.after(() => rmSync(root, { recursive: true }));
  const controllers = new Map(
    ['cpuacct', 'cpu', 'memory', 'pids', 'blkio'].map((name) => [name, join(root, name, 'c')]),
  );
  const stats = await new CgroupStatsReader().read({ version: 1, controllers });
  assert.deepEqual(stats.cpu, {
    usage: { total: 123456789n, perCpu: [100n, 23n], kernel: 50_000_000n, user: 70_000_000n },
    throttling: { periods: 1n, throttledPeriods: 2n, throttledTime: 3n },
  });
  assert.deepEqual(stats.memory.usage, {
    usage: 13n,
    maxUsage: 14n,
    failCount: 15n,
    limit: 9223372036854771712n,
  });
  assert.ok(stats.memory.useHierarchy);
  assert.deepEqual(stats.pids, { current: 3n, limit: 77n });
  assert.deepEqual(
    stats.blkio.serviceBytes.map(({ op, value }) => [op, value]),
    [
      ['read', 10n],
      ['write', 20n],
      ['total', 30n],
    ],
  );
  assert.deepEqual(stats.hugetlb, {});
});

test('statistics of a cgroup that is gone, or has no controllers, are 0', async () => {
  const stats = await new CgroupStatsReader().read({ version: 2, directory: '/nonexistent' });
  assert.equal(stats.cpu.usage.total, 0n);
  const none = await new CgroupStatsReader().read({ version: 1, controllers: new Map() });
  assert.equal(none.pids.current, 0n);
});

test('a read that the kernel delays stops neither the agent nor a second thread', async (t) => {
  const directory = makeTree({ ...v2, 'memory.stat': '' });
  t.after(() => rmSync(directory, { recursive: true }));
  const delayed = join(directory, 'memory.stat');
  rmSync(delayed);
  execFileSync('mkfifo', [delayed]);
  const reader = new CgroupStatsReader();
  const stats = reader.read({ version: 2, directory });
  let isRead = false;
  const next = reader.read({ version: 2, directory: '/nonexistent' }).then(() => {
    isRead = true;
  });
  await delay(100);
  assert.equal(isRead, false, 'one after another');
  await writeFile(delayed, 'pgfault 7\n');
  assert.equal((await stats).memory.stats['pgfault'], 7n);
  await next;
});

test('network interfaces are parsed, except loopback', () => {
  const text = [
    'Inter-|   Receive                                                |  Transmit',
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
    '    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0',
    '  eth0:    1000      10    1    2    0     0          0         0     2000      20    3    4    0     0       0          0',
  ].join('\n');
  assert.deepEqual(parseNetworkDevices(text), [
    {
      name: 'eth0',
      rxBytes: 1000n,
      rxPackets: 10n,
      rxErrors: 1n,
      rxDropped: 2n,
      txBytes: 2000n,
      txPackets: 20n,
      txErrors: 3n,
      txDropped: 4n,
    },
  ]);
});
