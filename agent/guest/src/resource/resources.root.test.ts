import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadSyscalls } from '@kata-agent/linux';
import { Disks } from '../device/disks.js';
import { directMedia } from '../media-thread/direct-media.js';
import { LoopDevice } from '../testing/loop-device.js';
import { skip } from '../testing/real-guest.js';
import { reseedRandom } from './reseed-random.js';
import { SwapDevices } from './swap.js';

test('a swap device is added once and removed by release', { skip }, async () => {
  const disk = new LoopDevice(32 * 1024 * 1024);
  try {
    const media = directMedia(loadSyscalls());
    const swap = new SwapDevices(media, new Disks('/sys', media), undefined);
    await assert.rejects(swap.add(disk.path), { kind: 'invalid', message: /mkswap/ });
    disk.with('mkswap');
    await swap.add(disk.path);
    assert.match(readFileSync('/proc/swaps', 'utf8'), new RegExp(disk.path));
    await assert.rejects(swap.add(disk.path), { kind: 'exists' });
    assert.deepEqual(await swap.release(), []);
    assert.doesNotMatch(readFileSync('/proc/swaps', 'utf8'), new RegExp(disk.path));
  } finally {
    disk.remove();
  }
});

test('the kernel accepts entropy and a reseed', { skip }, () => {
  reseedRandom(Buffer.from('bytes that the host knows'), loadSyscalls());
});

test('the kernel accepts the time', { skip }, () => {
  // In a process that may not set it: the clock is this machine's. EPERM follows the check of the time, EINVAL fails it.
  const program = `
    const { loadSyscalls } = await import('@kata-agent/linux');
    for (const seconds of [1_800_000_000n, -1n])
      try { loadSyscalls().setRealTime(seconds, 250_000_000); } catch ({ code }) { console.log(code); }`;
  const node = [process.execPath, '--input-type=module', '--eval', program];
  const { stdout, stderr } = spawnSync(
    'setpriv',
    ['--bounding-set', '-sys_time', '--inh-caps', '-sys_time', ...node],
    {
      cwd: import.meta.dirname,
      encoding: 'utf8',
    },
  );
  assert.equal(stdout, 'EPERM\nEINVAL\n', stderr);
});
