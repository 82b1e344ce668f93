import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadSyscalls, mount, Unmount } from '@kata-agent/linux';
import { resizeVolume, volumeStats } from '../perform/storage.js';
import { closedAccess } from '../context/guest-access.js';
import { LoopDevice } from '../testing/loop-device.js';
import { RealGuest, skip, skipWithout } from '../testing/real-guest.js';
import type { Tool } from '../tool/tools.js';
import { atMountedVolume } from './volume-place.js';
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

/** Runs a test with a volume: an ext4 on a disk of its own. */
async function withVolume(body: (path: string, disk: LoopDevice) => Promise<void>): Promise<void> {
  const syscalls = loadSyscalls();
  const disk = new LoopDevice(small);
  const path = join(real.kata, 'volume');
  try {
    disk.with('mkfs.ext4', '-q');
    mkdirSync(path, { recursive: true });
    mount(syscalls, { source: disk.path, target: path, type: 'ext4', options: [] });
    try {
      await body(path, disk);
    } finally {
      syscalls.umount2(path, Unmount.NoFollow);
    }
  } finally {
    disk.remove();
  }
}

// Growing a mounted file system needs a capability that few containers have: a test in a virtual machine does that.
test('a resize waits for the new size of the disk', { skip: skipWithout('mkfs.ext4') }, () =>
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

test('a disk that is too small and a path that is not a volume are errors', {
  skip: skipWithout('mkfs.ext4'),
}, async () => {
  await withVolume(async (path) => {
    await assert.rejects(resizeVolume(real.guest, path, BigInt(large)), {
      kind: 'precondition',
      message: /the disk of .* has 16777216 bytes, and 50331648 were requested; help: resize the disk first/,
    });
  });
  await assert.rejects(resizeVolume(real.guest, join(real.kata, 'volume'), 1n), { kind: 'not-found' });
  await assert.rejects(resizeVolume(real.guest, '/', 1n), { kind: 'refused' });
});

test('statistics are for the volumes that a container of the configuration may mount', { skip }, async () => {
  const total = async (path: string): Promise<bigint | undefined> =>
    (await volumeStats(real.guest, path)).find(({ unit }) => unit === 'bytes')?.total;
  mkdirSync(join(real.kata, 'shared/containers/volume'), { recursive: true });
  for (const path of [join(real.kata, 'shared/containers/volume'), '/usr', '/etc/hostname'])
    assert.ok(((await total(path)) ?? 0n) > 0n, path);
  await assert.rejects(total(real.state), { kind: 'refused' });
  const strict = { ...real.guest.context, access: closedAccess };
  assert.throws(() => atMountedVolume('/usr', strict, () => undefined), {
    kind: 'refused',
    message: /guest_paths/,
  });
  const listed = { ...closedAccess, paths: [{ path: '/usr', writable: false }] };
  assert.equal(
    atMountedVolume('/usr/bin', { ...strict, access: listed }, () => 1),
    1,
  );
});
