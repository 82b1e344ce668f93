import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadSyscalls, mount, Unmount } from '@kata-agent/linux';
import { resizeVolume } from '../perform/resize-volume.js';
import { LoopDevice } from '../testing/loop-device.js';
import { RealGuest, skip, skipWithout } from '../testing/real-guest.js';
import type { Tool } from '../tool/tools.js';
import { grownDisk, resizeVolume as resize } from './resize-volume.js';

const mebibyte = 1024 * 1024;
const small = 16 * mebibyte;
const large = 48 * mebibyte;

let real: RealGuest;
before(async () => {
  if (skip === false) real = await RealGuest.open({ hotplugTimeout: 2 });
});
after(async () => {
  if (skip === false) await real.close();
});

/** A volume with an ext4 on a disk of its own. */
async function withVolume(deed: (path: string, disk: LoopDevice) => Promise<void>): Promise<void> {
  const syscalls = loadSyscalls();
  const disk = new LoopDevice(small);
  const path = join(real.kata, 'volume');
  try {
    disk.with('mkfs.ext4', '-q');
    mkdirSync(path, { recursive: true });
    mount(syscalls, { source: disk.path, target: path, type: 'ext4', options: [] });
    try {
      await deed(path, disk);
    } finally {
      syscalls.umount2(path, Unmount.NoFollow);
    }
  } finally {
    disk.remove();
  }
}

// That the file system grows is tested in a virtual machine: to do so takes a capability that few containers have.
test('a disk of which the kernel hears late is waited for', { skip: skipWithout('mkfs.ext4') }, () =>
  withVolume(async (path, disk) => {
    const calls: string[] = [];
    const tools = {
      run: async ({ program }: Tool, args: readonly string[]) => {
        calls.push([program, ...args].join(' '));
        return { status: 0, stdout: Buffer.alloc(0), stderr: '' };
      },
    };
    const context = { ...real.guest.context, tools };
    const grown = context.devices.waitFor(
      grownDisk(path, BigInt(large), context.paths),
      new AbortController().signal,
    );
    await assert.rejects(resize(path, BigInt(large), context), { kind: 'precondition' });
    await delay(20);
    assert.deepEqual(calls, []);
    disk.grow(large);
    await grown;
    await resize(path, BigInt(large), context);
    await resize(path, BigInt(small), context);
    assert.deepEqual(calls, [`resize2fs ${disk.path}`, `resize2fs ${disk.path}`]);
  }),
);

test('a disk that was not made larger, and what is no volume, are errors', {
  skip: skipWithout('mkfs.ext4'),
}, async () => {
  await withVolume(async (path) => {
    await assert.rejects(resizeVolume(real.guest, path, BigInt(large)), {
      kind: 'precondition',
      message: /shall have 50331648 bytes, and its disk has 16777216: resize the disk first/,
    });
  });
  await assert.rejects(resizeVolume(real.guest, join(real.kata, 'volume'), 1n), { kind: 'not-found' });
  await assert.rejects(resizeVolume(real.guest, '/', 1n), { kind: 'refused' });
});
