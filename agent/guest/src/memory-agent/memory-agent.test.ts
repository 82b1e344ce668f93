import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { RecordingSyscalls } from '@kata-agent/linux';
import * as fc from 'fast-check';
import { makeTree } from '../testing/tree.js';
import { Compactor, isWorthWhile, scatteredPages } from './compactor.js';
import { MemoryAgent, Rounds } from './memory-agent.js';
import type { CompactSettings, ReclaimSettings } from './memory-agent-settings.js';
import { Pressure } from './pressure.js';
import { Reclaimer } from './reclaimer.js';

const trees: string[] = [];
afterEach(() => {
  for (const tree of trees.splice(0)) rmSync(tree, { recursive: true });
});

function tree(files: Readonly<Record<string, string>>): string {
  const root = makeTree(files);
  trees.push(root);
  return root;
}

const psi = (total: number): string =>
  `some avg10=0.00 avg60=0.00 avg300=0.00 total=${total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`;

const reclaim: ReclaimSettings = {
  disabled: false,
  swap: false,
  swappinessMax: 50,
  periodSeconds: 600,
  periodPressureLimit: 1,
  evictionPressureLimit: 1,
  coldRounds: 3,
};

const compact: CompactSettings = {
  disabled: false,
  periodSeconds: 600,
  periodPressureLimit: 100,
  pressureLimit: 100,
  secondsMax: 300,
  order: 9,
  threshold: 1024,
  forceTimes: 'max',
};

const noSwap = 'Filename\tType\tSize\tUsed\tPriority\n';
const oneSwap = `${noSwap}/dev/vdb partition 1048572 0 -2\n`;

test('pressure is the share of time spent waiting since the last reading', () => {
  const root = tree({ memory: psi(1_000), io: psi(500) });
  let now = 0n;
  const pressure = new Pressure([join(root, 'memory'), join(root, 'io')], () => now);
  assert.equal(pressure.percent(), 0, 'there was no reading before');
  now = 1_000_000_000n;
  writeFileSync(join(root, 'memory'), psi(21_000));
  writeFileSync(join(root, 'io'), psi(30_500));
  assert.equal(pressure.percent(), 5);
  now = 2_000_000_000n;
  assert.equal(pressure.percent(), 0);
  assert.throws(() => new Pressure([join(root, 'none')]).percent(), {
    kind: 'precondition',
    message: /CONFIG_PSI/,
  });
});

test('the pressure of this machine can be read', { skip: !existsSync('/proc/pressure/memory') }, () => {
  const pressure = new Pressure(['/proc/pressure/memory', '/proc/pressure/io']);
  pressure.percent();
  const percent = pressure.percent();
  assert.ok(percent >= 0 && Number.isFinite(percent));
});

/** One container in a copy of a cgroup v2 hierarchy: the machine that runs the tests may have cgroup v1. */
function container(swaps: string): {
  cgroup: string;
  reclaimer: Reclaimer;
  written: () => string;
  cold: Cold;
} {
  const root = tree({
    'c1/memory.stat': '',
    'c1/memory.reclaim': '',
    'c1/memory.pressure': psi(0),
    'c1/io.pressure': psi(0),
    'proc/swaps': swaps,
  });
  const cgroup = join(root, 'c1');
  const reclaimer = new Reclaimer({
    cgroups: () => [cgroup, join(root, 'gone')],
    proc: join(root, 'proc'),
    generations: { begin: async () => undefined },
    log: () => undefined,
  });
  const file = join(cgroup, 'memory.reclaim');
  return {
    cgroup,
    reclaimer,
    written: () => {
      const text = readFileSync(file, 'utf8');
      writeFileSync(file, '');
      return text;
    },
    cold: (inactiveFile, inactiveAnon = 0) =>
      writeFileSync(
        join(cgroup, 'memory.stat'),
        `anon 9\ninactive_anon ${inactiveAnon}\ninactive_file ${inactiveFile}\n`,
      ),
  };
}
type Cold = (inactiveFile: number, inactiveAnon?: number) => void;

test('only memory that was cold in all rounds is reclaimed', async () => {
  const { reclaimer, written, cold } = container(noSwap);
  const seen: string[] = [];
  for (const bytes of [3_000_000, 1_000_000, 2_000_000, 2_500_000, 2_600_000]) {
    cold(bytes, 77);
    await reclaimer.round(reclaim);
    seen.push(written());
  }
  assert.deepEqual(seen, ['', '', '1000000', '1000000', '2000000']);
});

test('a container under pressure is skipped', async () => {
  const { cgroup, reclaimer, written, cold } = container(noSwap);
  cold(1_000_000);
  const oneRound = { ...reclaim, coldRounds: 1 };
  await reclaimer.round(oneRound);
  assert.equal(written(), '1000000');
  writeFileSync(join(cgroup, 'memory.pressure'), psi(60_000_000));
  await reclaimer.round(oneRound);
  assert.equal(written(), '');
  await reclaimer.round({ ...oneRound, periodPressureLimit: 0 });
  assert.equal(written(), '1000000', 'the pressure is over');
});

test('with swap, a reclaim has a swappiness', async () => {
  const { reclaimer, written, cold } = container(oneSwap);
  cold(1_000_000, 500_000);
  await reclaimer.round({ ...reclaim, coldRounds: 1 });
  assert.equal(written(), '1000000 swappiness=0');
  await reclaimer.round({ ...reclaim, coldRounds: 1, swap: true });
  assert.equal(written(), '1500000 swappiness=50');
});

const pageTypes = `Page block order: 9
Pages per block:  512

Free pages count per migrate type at order       0      1      2      3
Node    0, zone   Normal, type    Unmovable   1000      0      0      0
Node    0, zone   Normal, type      Movable      5      4      3      2
Node    1, zone      DMA, type      Movable      1      0      0      9

Number of blocks type     Unmovable      Movable
Node 0, zone   Normal          166         8026
`;

test('free pages of movable blocks below an order are counted', () => {
  assert.equal(scatteredPages(pageTypes, 0), 0);
  assert.equal(scatteredPages(pageTypes, 2), 5 + 8 + 1);
  assert.equal(scatteredPages(pageTypes, 99), 5 + 8 + 12 + 16 + 1 + 72);
});

test('compaction is worth while after scattered pages grew or free memory shrank', () => {
  const amount = fc.nat({ max: 2 ** 40 });
  fc.assert(
    fc.property(amount, amount, amount, amount, (pages, scattered, threshold, more) => {
      const before = { pages, scattered };
      assert.ok(!isWorthWhile(before, before, threshold));
      assert.ok(isWorthWhile({ pages, scattered: scattered + threshold + 1 + more }, before, threshold));
      assert.ok(isWorthWhile(before, { pages: pages + threshold + 1 + more, scattered }, threshold));
      assert.ok(!isWorthWhile({ pages: pages + more, scattered }, before, threshold));
    }),
  );
});

function compactor(): { root: string; compactor: Compactor; written: () => string } {
  const root = tree({
    pagetypeinfo: pageTypes,
    meminfo: 'MemTotal: 8000 kB\nMemFree:   4000 kB\n',
    'pressure/memory': psi(0),
    'pressure/io': psi(0),
    'sys/vm/compact_memory': '',
  });
  return {
    root,
    compactor: new Compactor(root, () => undefined),
    written: () => readFileSync(join(root, 'sys/vm/compact_memory'), 'utf8'),
  };
}

test('a compaction that is not worth while is skipped until it is forced', async () => {
  const { compactor: compacting, written } = compactor();
  const settings = { ...compact, forceTimes: 2 };
  assert.deepEqual(
    [await compacting.round(settings), await compacting.round(settings), written()],
    [false, false, ''],
  );
  assert.equal(await compacting.round(settings), true);
  assert.equal(written(), '1');
  assert.equal(await compacting.round(settings), false);
  assert.equal(await compacting.round({ ...settings, threshold: -1 }), true);
});

test('nothing is compacted under pressure', async () => {
  const { root, compactor: compacting, written } = compactor();
  await compacting.round({ ...compact, forceTimes: 'max' });
  writeFileSync(join(root, 'pressure/io'), psi(60_000_000));
  assert.equal(await compacting.round({ ...compact, forceTimes: 0 }), false);
  assert.equal(written(), '');
});

test('a compaction that takes too long is stopped', async () => {
  const { root, compactor: compacting } = compactor();
  // Opening a FIFO for writing blocks until it has a reader.
  rmSync(join(root, 'sys/vm/compact_memory'));
  execFileSync('mkfifo', [join(root, 'sys/vm/compact_memory')]);
  assert.equal(await compacting.round({ ...compact, forceTimes: 0, secondsMax: 0 }), true);
});

function memoryAgent(version: 1 | 2): MemoryAgent {
  const root = tree({ 'proc/x': '', [version === 2 ? 'cgroup/cgroup.controllers' : 'cgroup/memory/x']: '' });
  const at = (name: string): string => join(root, name);
  const paths = { proc: at('proc'), sys: at('sys'), cgroup: at('cgroup'), state: at('state') };
  const syscalls = new RecordingSyscalls();
  return new MemoryAgent({ syscalls, paths, cgroups: () => [], log: () => undefined }, { reclaim, compact });
}

test('settings out of range, and reclaim without cgroup v2, are errors', () => {
  const agent = memoryAgent(2);
  for (const change of [{ swappinessMax: 201 }, { periodSeconds: 0 }, { coldRounds: 1_000_001 }])
    assert.throws(() => agent.setReclaim(change), { kind: 'invalid' }, JSON.stringify(change));
  for (const change of [{ order: 256 }, { secondsMax: -1 }, { periodPressureLimit: 101 }, { forceTimes: -1 }])
    assert.throws(() => agent.setCompact(change), { kind: 'invalid' }, JSON.stringify(change));
  agent.setReclaim({ swap: true });
  agent.setCompact({ forceTimes: 'max' });
  agent.stop();
  assert.throws(() => memoryAgent(1).setReclaim({ swap: true }), { kind: 'precondition', message: /v2/ });
});

test('rounds repeat until they are stopped, also after a failure', async () => {
  let count = 0;
  const faults: unknown[] = [];
  await new Promise<void>((resolve) => {
    const alive = setInterval(() => undefined, 1_000);
    const rounds: Rounds = new Rounds(
      async () => {
        count += 1;
        if (count === 2) throw new Error('a fault');
        if (count < 4) return;
        rounds.every(undefined);
        clearInterval(alive);
        resolve();
      },
      (error) => faults.push(error),
    );
    rounds.every(0.001);
  });
  await new Promise((resolve) => {
    setTimeout(resolve, 20);
  });
  assert.equal(count, 4);
  assert.equal(faults.length, 1);
});
