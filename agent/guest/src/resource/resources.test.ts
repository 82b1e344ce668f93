import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { RecordingSyscalls, type UeventReceiver } from '@kata-agent/linux';
import * as fc from 'fast-check';
import { Disks } from '../device/disks.js';
import type { Guest } from '../guest.js';
import { onlineCpuMem } from '../perform/memory.js';
import { settled } from '../testing/real-guest.js';
import { makeTree } from '../testing/tree.js';
import { formatCpuList, parseCpuList } from '../spec/resources.js';
import { bringOnline, MemoryWatch, onlineCpus, probeMemory } from './online.js';
import { reseedRandom } from './reseed-random.js';
import { setClock } from './set-clock.js';
import { SwapDevices } from './swap.js';
import { volumeStats } from './volume-calls.js';
import { directMedia } from '../media-thread/direct-media.js';

const trees: string[] = [];
afterEach(() => {
  for (const tree of trees.splice(0)) rmSync(tree, { recursive: true });
});

function tree(files: Readonly<Record<string, string>>): string {
  const root = makeTree(files);
  trees.push(root);
  return root;
}

const cpu = 'devices/system/cpu';
const memory = 'devices/system/memory';
const media = directMedia(new RecordingSyscalls());
const quick = { waitMs: 20, pollMs: 5 };

test('a CPU list is parsed, and formatted as short as possible', () => {
  assert.deepEqual(parseCpuList('0-3,8\n'), [0, 1, 2, 3, 8]);
  assert.deepEqual(parseCpuList(''), []);
  assert.equal(formatCpuList([8, 0, 1, 3, 2]), '0-3,8');
  for (const wrong of ['3-1', 'a', '0-', '-1', '0-99999', '1;2', '8192'])
    assert.throws(() => parseCpuList(wrong), { kind: 'invalid' });
  const cpus = fc.uniqueArray(fc.nat(8191), { maxLength: 50 });
  fc.assert(
    fc.property(cpus, (list) => {
      assert.deepEqual(
        parseCpuList(formatCpuList(list)),
        list.toSorted((a, b) => a - b),
      );
    }),
  );
});

test('plugged CPUs and memory blocks are brought online; the first CPU has no online file', async () => {
  const sys = tree({
    [`${cpu}/online`]: '0-2\n',
    [`${cpu}/cpu0/topology/core_id`]: '0',
    [`${cpu}/cpu1/online`]: '0',
    [`${cpu}/cpu2/online`]: '1',
    [`${cpu}/cpufreq/online`]: '0',
    [`${memory}/memory0/online`]: '1',
    [`${memory}/memory1/online`]: '0',
  });
  await bringOnline({ cpus: 0, cpuOnly: true }, { media, sys });
  assert.equal(readFileSync(join(sys, cpu, 'cpu1/online'), 'utf8'), '1');
  assert.equal(readFileSync(join(sys, cpu, 'cpufreq/online'), 'utf8'), '0', 'cpufreq is not a CPU');
  assert.equal(readFileSync(join(sys, memory, 'memory1/online'), 'utf8'), '0', 'cpu_only');
  await bringOnline({ cpus: 0, cpuOnly: false }, { media, sys });
  assert.equal(readFileSync(join(sys, memory, 'memory1/online'), 'utf8'), '1');
  assert.deepEqual(onlineCpus(sys), [0, 1, 2]);
});

test('no more CPUs are brought online than requested; too few in time is an error', async () => {
  const sys = tree({
    [`${cpu}/online`]: '0\n',
    [`${cpu}/cpu1/online`]: '0',
    [`${cpu}/cpu2/online`]: '0',
  });
  // The list of online CPUs in the tree never changes, so the wait times out.
  await assert.rejects(bringOnline({ cpus: 2, cpuOnly: true }, { media, sys }, { waitMs: 0, pollMs: 1 }), {
    kind: 'exhausted',
    message: /2 CPUs were requested, and 1 are online/,
  });
  const switched = ['cpu1', 'cpu2'].map((name) => readFileSync(join(sys, cpu, name, 'online'), 'utf8'));
  assert.deepEqual(switched, ['1', '0']);
  await bringOnline({ cpus: 1, cpuOnly: true }, { media, sys }, quick);
});

test('more CPUs than the kernel can have fail without a wait', async () => {
  const sys = tree({ [`${cpu}/online`]: '0\n', [`${cpu}/possible`]: '0-3\n' });
  const forEver = { waitMs: Infinity, pollMs: 1 };
  await assert.rejects(bringOnline({ cpus: 2 ** 32 - 1, cpuOnly: true }, { media, sys }, forEver), {
    kind: 'exhausted',
    message: /4294967295 CPUs were requested, and the kernel can have 4 \(.*\/possible\)/,
  });
});

test('only memory blocks of uevents are brought online', async () => {
  const files = ['memory32', 'memory33', 'memory34'].map((name) => `${memory}/${name}/online`);
  const sys = tree(Object.fromEntries([...files, `${cpu}/cpu1/online`].map((file) => [file, '0'])));
  let kernel: UeventReceiver | undefined;
  let listeners = 0;
  const warnings: string[] = [];
  const watch = new MemoryWatch({
    sys,
    media,
    listen: (to) => {
      kernel = to;
      listeners += 1;
      return { close: () => void (listeners -= 1) };
    },
    log: (_level, text) => warnings.push(text),
  });
  watch.start();
  watch.start();
  assert.equal(listeners, 1);
  const send = (action: string, path: string): void =>
    kernel?.event({ action, devicePath: `/${path}`, subsystem: 'memory' });
  send('add', `${memory}/memory32`);
  send('remove', `${memory}/memory33`);
  send('add', `${cpu}/cpu1`);
  send('add', `${memory}/memory33/../../cpu/cpu1`);
  send('add', `${memory}/memory99`);
  const states = (): readonly string[] =>
    [...files, `${cpu}/cpu1/online`].map((file) => readFileSync(join(sys, file), 'utf8'));
  await settled();
  assert.deepEqual(states(), ['1', '0', '0', '0']);
  kernel?.lost();
  await settled();
  assert.deepEqual(states(), ['1', '1', '1', '0'], 'all blocks after lost uevents');
  assert.deepEqual(warnings, []);
  kernel?.fault(new Error('ENOBUFS'));
  assert.match(warnings.join(), /may stay offline until the host calls OnlineCPUMem: Error: ENOBUFS/);
  watch.stop();
  assert.equal(listeners, 0);
});

test('memory is brought online without a request from the first OnlineCPUMem that asks for memory', async () => {
  const sys = tree({ [`${cpu}/online`]: '0\n', [`${memory}/memory1/online`]: '0' });
  const kernels: UeventReceiver[] = [];
  const listen = (to: UeventReceiver) => {
    kernels.push(to);
    return { close: () => undefined };
  };
  const watch = new MemoryWatch({ sys, media, listen, log: () => undefined });
  const guest = {
    context: { media, paths: { sys }, memory: watch },
    change: (task: () => Promise<void>) => task(),
  } as unknown as Guest;
  await onlineCpuMem(guest, { cpus: 0, cpuOnly: true });
  assert.equal(kernels.length, 0);
  await onlineCpuMem(guest, { cpus: 0, cpuOnly: false });
  mkdirSync(join(sys, memory, 'memory2'));
  writeFileSync(join(sys, memory, 'memory2/online'), '0');
  assert.equal(kernels.length, 1);
  kernels[0]?.event({ action: 'add', devicePath: `/${memory}/memory2`, subsystem: 'memory' });
  await settled();
  const states = ['memory1', 'memory2'].map((name) =>
    readFileSync(join(sys, memory, name, 'online'), 'utf8'),
  );
  assert.deepEqual(states, ['1', '1']);
});

test('a failure to listen for uevents is logged', () => {
  const warnings: string[] = [];
  const listen = (): never => {
    throw new Error('EPERM');
  };
  const watch = new MemoryWatch({
    sys: '/nowhere',
    media,
    listen,
    log: (_level, text) => warnings.push(text),
  });
  watch.start();
  watch.stop();
  assert.match(warnings.join(), /EPERM/);
});

test('memory is added by address if the kernel supports it', () => {
  const sys = tree({ [`${memory}/probe`]: '' });
  probeMemory([0x1_0000_0000n], sys);
  assert.equal(readFileSync(join(sys, memory, 'probe'), 'utf8'), '0x100000000');
  assert.throws(() => probeMemory([1n], tree({})), { kind: 'precondition', message: /ARCH_MEMORY_PROBE/ });
  // As with Kata's agent: nothing is added.
  probeMemory([], tree({}));
});

test('the clock is set; an invalid time is an error', () => {
  const kernel = new RecordingSyscalls();
  const clock = { floor: undefined, now: () => 1_900_000_000_000 };
  const change = setClock({ seconds: 1_800_000_000n, microseconds: 250_000n }, clock, kernel);
  assert.deepEqual(change, { before: 1_900_000_000_000, after: 1_800_000_000_250 }, 'back, without a floor');
  assert.deepEqual(kernel.argumentsOf('setRealTime'), [[1_800_000_000n, 250_000_000]]);
  for (const [seconds, microseconds] of [
    [0n, 0n],
    [-1n, 0n],
    [9_223_372_037n, 0n],
    [2n ** 63n - 1n, 0n],
    [1n, -1n],
    [1n, 1_000_000n],
  ] as const) {
    assert.throws(() => setClock({ seconds, microseconds }, clock, kernel), { kind: 'invalid' });
  }
  assert.equal(kernel.argumentsOf('setRealTime').length, 1);
});

test('with a floor the clock goes neither back nor below it (S37)', () => {
  const floor = 1_800_000_000_000;
  const kernel = new RecordingSyscalls();
  let now = 0;
  kernel.script('setRealTime', (seconds, nanoseconds) => {
    now = Number(seconds) * 1000 + nanoseconds / 1_000_000;
  });
  const set = (ms: number, more = 0) => {
    const time = { seconds: BigInt(Math.floor(ms / 1000)), microseconds: BigInt((ms % 1000) * 1000 + more) };
    return setClock(time, { floor, now: () => now }, kernel);
  };
  assert.deepEqual(set(1000), { before: 0, after: floor }, 'below the floor');
  assert.equal(now, floor);
  assert.deepEqual(set(floor + 5), { before: floor, after: floor + 5 }, 'forward');
  assert.equal(now, floor + 5);
  const sets = kernel.argumentsOf('setRealTime').length;
  for (const earlier of [1000, floor, floor + 4, floor + 5])
    assert.deepEqual(set(earlier), { before: floor + 5, after: floor + 5 }, String(earlier));
  set(floor + 5, 999);
  assert.equal(kernel.argumentsOf('setRealTime').length, sets, 'no call of the kernel');
  assert.deepEqual(kernel.argumentsOf('setRealTime')[0], [BigInt(floor / 1000), 0]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1000, max: 9_000_000_000_000 })), (times) => {
      now = 0;
      for (const time of times) {
        const { before, after } = set(time);
        assert.ok(after >= before && after >= floor && after === now);
      }
    }),
  );
});

test('entropy is added, then the generator reseeded; the device is always closed', () => {
  const kernel = new RecordingSyscalls();
  reseedRandom(Uint8Array.of(1, 2), kernel);
  assert.deepEqual(
    kernel.calls.map(({ name }) => name),
    ['openat', 'addEntropy', 'reseedRandom', 'close'],
  );
  kernel.fail('addEntropy', 'EPERM');
  assert.throws(() => reseedRandom(Uint8Array.of(1), kernel), { code: 'EPERM' });
  assert.equal(kernel.openDescriptors.size, 0);
  assert.throws(() => reseedRandom(new Uint8Array(0), kernel), { kind: 'invalid' });
  assert.throws(() => reseedRandom(new Uint8Array(65_537), kernel), { kind: 'invalid' });
});

test('a guest that can unseal secrets has no swap', async () => {
  const swap = new SwapDevices(media, new Disks('/sys', media), 'sealed');
  await assert.rejects(swap.add('/dev/vdb'), { kind: 'refused', message: /unseals secrets/ });
});

test('only block devices are accepted as swap', async () => {
  const kernel = new RecordingSyscalls();
  const media = directMedia(kernel);
  const swap = new SwapDevices(media, new Disks('/sys', media), undefined);
  for (const path of [
    '/dev/null',
    '/etc/passwd',
    '/dev/../etc/passwd',
    'vda',
    '/dev/',
    '/dev/nowhere',
    '/dev/a\0b',
  ])
    await assert.rejects(swap.add(path), { kind: 'invalid', message: /not a block device/ });
  assert.deepEqual(kernel.calls, []);
});

test('the use of a file system is that of statfs(2)', () => {
  const [bytes, inodes] = volumeStats('/proc/self');
  assert.equal(bytes?.unit, 'bytes');
  assert.equal(inodes?.unit, 'inodes');
  const root = volumeStats('/').find(({ unit }) => unit === 'bytes');
  assert.ok(root !== undefined && root.total > 0n && root.used > 0n && root.used <= root.total);
  assert.throws(() => volumeStats('/nowhere'), { code: 'ENOENT' });
});
