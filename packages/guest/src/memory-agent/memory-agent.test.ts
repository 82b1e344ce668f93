import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { RecordingSyscalls } from '@kata-agent/linux';
import * as fc from 'fast-check';
import { makeTree } from '../testing/tree.js';
import { Compactor, isWorthWhile, scatteredPages } from './compactor.js';
import { MemoryAgent } from './memory-agent.js';
import type { CompactSettings, ReclaimSettings } from './memory-agent-settings.js';
import { Pressure } from './pressure.js';
import { Reclaimer } from './reclaimer.js';
import { Rounds } from './rounds.js';

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

test('pressure is the part of the time that was waited since the last look', () => {
  const root = tree({ memory: psi(1_000), io: psi(500) });
  let now = 0n;
  const pressure = new Pressure([join(root, 'memory'), join(root, 'io')], () => now);
  assert.equal(pressure.percent(), 0, 'there was no look before');
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
  const felt = pressure.percent();
  assert.ok(felt >= 0 && Number.isFinite(felt));
});

/** A copied cgroup v2, since this machine's memory controller is v1's: one container. */
function container(swaps: string): { cgroup: string; reclaimer: Reclaimer; asked: () => string; cold: Cold } {
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
    asked: () => {
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

test('memory is taken that was cold for all the rounds, and no more', async () => {
  const { reclaimer, asked, cold } = container(noSwap);
  const seen: string[] = [];
  for (const bytes of [3_000_000, 1_000_000, 2_000_000, 2_500_000, 2_600_000]) {
    cold(bytes, 77);
    await reclaimer.round(reclaim);
    seen.push(asked());
  }
  assert.deepEqual(seen, ['', '', '1000000', '1000000', '2000000']);
});

test('a container that had to wait is left alone', async () => {
  const { cgroup, reclaimer, asked, cold } = container(noSwap);
  cold(1_000_000);
  const soon = { ...reclaim, coldRounds: 1 };
  await reclaimer.round(soon);
  assert.equal(asked(), '1000000');
  writeFileSync(join(cgroup, 'memory.pressure'), psi(60_000_000));
  await reclaimer.round(soon);
  assert.equal(asked(), '');
  await reclaimer.round({ ...soon, periodPressureLimit: 0 });
  assert.equal(asked(), '1000000', 'it waits no more');
});

test('where there is swap, the kernel is told how much may go there', async () => {
  const { reclaimer, asked, cold } = container(oneSwap);
  cold(1_000_000, 500_000);
  await reclaimer.round({ ...reclaim, coldRounds: 1 });
  assert.equal(asked(), '1000000 swappiness=0');
  await reclaimer.round({ ...reclaim, coldRounds: 1, swap: true });
  assert.equal(asked(), '1500000 swappiness=50');
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

test('free pages below an order are counted, those of movable blocks', () => {
  assert.equal(scatteredPages(pageTypes, 0), 0);
  assert.equal(scatteredPages(pageTypes, 2), 5 + 8 + 1);
  assert.equal(scatteredPages(pageTypes, 99), 5 + 8 + 12 + 16 + 1 + 72);
});

test('compaction is worth while when much is scattered anew, or much of what was free was taken', () => {
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

function compactor(): { root: string; compactor: Compactor; asked: () => string } {
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
    asked: () => readFileSync(join(root, 'sys/vm/compact_memory'), 'utf8'),
  };
}

test('what is not worth while is left out, until it is forced', async () => {
  const { compactor: it, asked } = compactor();
  const settings = { ...compact, forceTimes: 2 };
  assert.deepEqual([await it.round(settings), await it.round(settings), asked()], [false, false, '']);
  assert.equal(await it.round(settings), true);
  assert.equal(asked(), '1');
  assert.equal(await it.round(settings), false);
  assert.equal(await it.round({ ...settings, threshold: -1 }), true);
});

test('under pressure nothing is compacted', async () => {
  const { root, compactor: it, asked } = compactor();
  await it.round({ ...compact, forceTimes: 'max' });
  writeFileSync(join(root, 'pressure/io'), psi(60_000_000));
  assert.equal(await it.round({ ...compact, forceTimes: 0 }), false);
  assert.equal(asked(), '');
});

test('a compaction that takes too long is ended', async () => {
  const { root, compactor: it } = compactor();
  // A pipe that nobody reads is not opened for writing until somebody does.
  rmSync(join(root, 'sys/vm/compact_memory'));
  execFileSync('mkfifo', [join(root, 'sys/vm/compact_memory')]);
  assert.equal(await it.round({ ...compact, forceTimes: 0, secondsMax: 0 }), true);
});

function memoryAgent(version: 1 | 2): MemoryAgent {
  const root = tree({ 'proc/x': '', [version === 2 ? 'cgroup/cgroup.controllers' : 'cgroup/memory/x']: '' });
  const at = (name: string): string => join(root, name);
  const paths = { proc: at('proc'), sys: at('sys'), cgroup: at('cgroup'), state: at('state') };
  const syscalls = new RecordingSyscalls();
  return new MemoryAgent({ syscalls, paths, cgroups: () => [], log: () => undefined }, { reclaim, compact });
}

test('numbers out of range change nothing, and without cgroup v2 nothing can be reclaimed', () => {
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

test('rounds follow each other until they are stopped, and go on after a failure', async () => {
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
