import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadSyscalls } from '@kata-agent/linux';
import { Disks } from '../device/disks.js';
import { LoopDevice } from '../testing/loop-device.js';
import { skip } from '../testing/real-guest.js';
import { reseedRandom } from './reseed-random.js';
import { setClock } from './set-clock.js';
import { SwapDevices } from './swap.js';

test('a swap device is added once and removed by release', { skip }, () => {
  const disk = new LoopDevice(32 * 1024 * 1024);
  try {
    const swap = new SwapDevices(loadSyscalls(), new Disks('/sys'));
    assert.throws(() => swap.add(disk.path), { kind: 'invalid', message: /mkswap/ });
    disk.with('mkswap');
    swap.add(disk.path);
    assert.match(readFileSync('/proc/swaps', 'utf8'), new RegExp(disk.path));
    assert.throws(() => swap.add(disk.path), { kind: 'exists' });
    assert.deepEqual(swap.release(), []);
    assert.doesNotMatch(readFileSync('/proc/swaps', 'utf8'), new RegExp(disk.path));
  } finally {
    disk.remove();
  }
});

test('the kernel accepts entropy and a reseed', { skip }, () => {
  reseedRandom(Buffer.from('bytes that the host knows'), loadSyscalls());
});

test('the kernel accepts the time', { skip }, () => {
  // The current time, so that nothing else on this machine is affected.
  const now = BigInt(Date.now());
  setClock({ seconds: now / 1000n, microseconds: (now % 1000n) * 1000n }, loadSyscalls());
  assert.ok(Math.abs(Date.now() - Number(now)) < 60_000);
});
