import assert from 'node:assert/strict';
import { readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeTree } from '../testing/tree.js';
import { UNLIMITED } from './cgroup-paths.js';
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
  const unlimited = makeTree({ ...v2, 'memory.swap.max': 'max\n' });
  t.after(() => rmSync(directory, { recursive: true }));
  t.after(() => rmSync(unlimited, { recursive: true }));
  const { swap } = (await new CgroupStatsReader().read('u', { version: 2, directory: unlimited })).memory;
  assert.equal(swap.limit, UNLIMITED);
  const stats = await new CgroupStatsReader().read('c', { version: 2, directory });
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
  assert.equal(stats.memory.useHierarchy, true);
  assert.equal(stats.memory.swap.limit, 4096n);
  assert.equal(stats.memory.cache, 8192n);
  assert.equal(stats.memory.kernel.usage, 12288n);
  assert.equal(stats.memory.stats['pgfault'], 99n);
  assert.deepEqual(stats.pids, { current: 2n, limit: 0n });
  assert.deepEqual(stats.blkio.serviceBytes[0], { major: 254n, minor: 0n, op: 'read', value: 4096n });
  assert.deepEqual(
    stats.blkio.serviceBytes.map(({ op, value }) => [op, value]),
    [
      ['read', 4096n],
      ['write', 0n],
      ['rios', 1n],
      ['wios', 0n],
      ['dbytes', 0n],
      ['dios', 0n],
    ],
  );
  assert.deepEqual(stats.blkio.serviced, []);
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
  const stats = await new CgroupStatsReader().read('c', { version: 1, controllers });
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
  const stats = await new CgroupStatsReader().read('c', { version: 2, directory: '/nonexistent' });
  assert.equal(stats.cpu.usage.total, 0n);
  const none = await new CgroupStatsReader().read('c', { version: 1, controllers: new Map() });
  assert.equal(none.pids.current, 0n);
});

test('files are kept open between reads, and closed when the container is forgotten', async (t) => {
  const directory = makeTree(v2);
  t.after(() => rmSync(directory, { recursive: true }));
  const reader = new CgroupStatsReader();
  const own = (): number => ownDescriptors(directory);
  await reader.read('c', { version: 2, directory });
  const kept = own();
  assert.ok(kept > 8 && kept === reader.open, `${kept} descriptors`);
  writeFileSync(join(directory, 'memory.current'), '42\n');
  assert.equal((await reader.read('c', { version: 2, directory })).memory.usage.usage, 42n);
  assert.equal(own(), kept);
  reader.forget('c');
  assert.equal(own(), 0);
});

test('the descriptors of all containers are bounded, and each container is still read', async (t) => {
  const directory = makeTree(v2);
  t.after(() => rmSync(directory, { recursive: true }));
  const reader = new CgroupStatsReader();
  for (const round of [1, 2]) {
    for (let n = 0; n < 200; n += 1) {
      const stats = await reader.read(`c${n}`, { version: 2, directory });
      assert.equal(stats.pids.current, 2n, `round ${round}, container ${n}`);
      assert.ok(reader.open <= 1024, `${reader.open} descriptors`);
    }
  }
  for (let n = 0; n < 200; n += 1) reader.forget(`c${n}`);
  assert.equal(ownDescriptors(directory), 0);
});

test('after a read that took much CPU time, files are read in the thread pool for a while', async (t) => {
  const directory = makeTree(v2);
  t.after(() => rmSync(directory, { recursive: true }));
  let [now, cpu, work] = [0, 0, 26];
  const reader = new CgroupStatsReader({ now: () => now, cpuTime: () => (cpu += work) });
  const read = async (): Promise<boolean> => {
    let isInTurn = true;
    const later = setImmediate(() => {
      isInTurn = false;
    });
    const stats = await reader.read('c', { version: 2, directory });
    clearImmediate(later);
    assert.equal(stats.memory.stats['pgfault'], 99n);
    assert.deepEqual(stats.hugetlb, { '2MB': { usage: 2097152n, maxUsage: 0n, failCount: 7n } });
    return isInTurn;
  };
  assert.equal(await read(), true, 'at once');
  work = 1;
  assert.equal(await read(), false, 'in the pool');
  now += 2_001;
  assert.equal(await read(), true, 'at once again');
  reader.forget('c');
});

/** Returns the number of descriptors of this process below a directory. */
function ownDescriptors(directory: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${directory}/`);
    } catch {
      // The descriptor of this listing.
      return false;
    }
  }).length;
}

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
