import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadSyscalls, mount, RecordingSyscalls, Unmount } from '@kata-agent/linux';
import { resizeVolume, volumeStats } from '../perform/storage.js';
import { closedAccess } from '../guest-access.js';
import { directMedia } from '../media-thread/direct-media.js';
import { LoopDevice } from '../testing/loop-device.js';
import { RealGuest, skip, skipWithout } from '../testing/real-guest.js';
import { atMountedVolume } from './volume-calls.js';
import { grownDisk, resizeVolume as resize } from './resize-volume.js';

const mebibyte = 1024 * 1024;
const small = 16 * mebibyte;
const large = 48 * mebibyte;

/** Whether this process has CAP_SYS_RESOURCE, bit 24. */
function hasSysResource(): boolean {
  const [, mask = '0'] = /^CapEff:\s+(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return (BigInt(`0x${mask}`) & (1n << 24n)) !== 0n;
}

let real: RealGuest;
before(async () => {
  if (skip === false) real = await RealGuest.open({ hotplugTimeout: 2 });
});
after(async () => {
  if (skip === false) await real.close();
});

/** Runs a test with a volume on a disk of its own. */
async function withVolume(
  body: (path: string, disk: LoopDevice) => Promise<void>,
  fstype = 'ext4',
  bytes = small,
): Promise<void> {
  const syscalls = loadSyscalls();
  const disk = new LoopDevice(bytes);
  const path = join(real.kata, 'volume');
  try {
    disk.with(`mkfs.${fstype}`, '-q');
    mkdirSync(path, { recursive: true });
    mount(syscalls, { source: disk.path, target: path, type: fstype, options: [] });
    try {
      await body(path, disk);
    } finally {
      syscalls.umount2(path, Unmount.NoFollow);
    }
  } finally {
    disk.remove();
  }
}

test('a resize waits for the new size of the disk', { skip: skipWithout('mkfs.ext4') }, () =>
  withVolume(async (path, disk) => {
    const grown: unknown[] = [];
    const media = directMedia(
      new RecordingSyscalls({ growExt4: (_, blocks) => void grown.push(blocks) }, loadSyscalls()),
    );
    const context = { ...real.guest.context, media };
    const waiting = context.devices.waitFor(
      grownDisk(path, BigInt(large), context.paths),
      new AbortController().signal,
    );
    await assert.rejects(resize(path, BigInt(large), context), { kind: 'precondition' });
    await delay(20);
    assert.deepEqual(grown, []);
    disk.grow(large);
    await waiting;
    await resize(path, BigInt(large), context);
    await resize(path, BigInt(small), context);
    const { bsize } = statfsSync(path);
    assert.deepEqual(grown, [BigInt(large / bsize), BigInt(large / bsize)]);
  }),
);

// Growing ext4 needs CAP_SYS_RESOURCE, which few containers have: tests/vm/devices.test.ts does that.
for (const [fstype, before, after, skipped] of [
  ['ext4', 16, 48, process.getuid?.() === 0 && !hasSysResource() && 'needs CAP_SYS_RESOURCE'],
  ['xfs', 320, 400, false],
] as const)
  test(
    `a mounted ${fstype} grows with its disk, without a program that reads it`,
    {
      skip: skipped || skipWithout(`mkfs.${fstype}`),
    },
    () =>
      withVolume(
        async (path, disk) => {
          const total = (): number => statfsSync(path).blocks * statfsSync(path).bsize;
          const first = total();
          writeFileSync(join(path, 'file'), 'kept');
          disk.grow(after * mebibyte);
          await resizeVolume(real.guest, path, BigInt(after * mebibyte));
          assert.ok(total() > first + (after - before - 16) * mebibyte, `${first}, then ${total()}`);
          assert.equal(readFileSync(join(path, 'file'), 'utf8'), 'kept');
          // The disk has no more: nothing changes.
          const second = total();
          await resizeVolume(real.guest, path, BigInt(before * mebibyte));
          assert.equal(total(), second);
        },
        fstype,
        before * mebibyte,
      ),
  );

test(
  'another file system that is mounted at the path by then is not resized',
  {
    skip: skipWithout('mkfs.ext4'),
  },
  () =>
    withVolume(async (path) => {
      const kernel = new RecordingSyscalls({ growExt4: () => undefined }, loadSyscalls());
      const found = { path, kata: real.kata, type: 'ext4', device: '0:1', diskBytes: 1n } as const;
      await assert.rejects(directMedia(kernel).run('growFileSystem', found), {
        kind: 'precondition',
        message: /what is mounted at .* has changed/,
      });
      assert.deepEqual(kernel.argumentsOf('growExt4'), []);
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

test(
  'blocks that are reserved for root are neither used nor available',
  {
    skip: skipWithout('mkfs.ext4'),
  },
  () =>
    withVolume(async (path) => {
      const [bytes] = await volumeStats(real.guest, path);
      const { bsize, blocks, bfree, bavail } = statfsSync(path, { bigint: true });
      assert.ok(bfree > bavail, 'mkfs.ext4 reserves 5 % for root');
      assert.deepEqual(bytes, {
        unit: 'bytes',
        total: blocks * bsize,
        used: (blocks - bfree) * bsize,
        available: bavail * bsize,
      });
    }),
);

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
