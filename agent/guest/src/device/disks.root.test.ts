import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LoopDevice } from '../testing/loop-device.js';
import { skip } from '../testing/real-guest.js';
import { loadSyscalls } from '@kata-agent/linux';
import { deviceNumber } from './device-number.js';
import { directMedia } from '../media-thread/direct-media.js';
import { Disks } from './disks.js';
import { HeldDisk } from './held-disk.js';

const media = directMedia(loadSyscalls());
const sysDisks = (sys = '/sys'): Disks => new Disks(sys, media);

let disk: LoopDevice;
let other: LoopDevice;
before(() => {
  if (skip !== false) return;
  [disk, other] = [new LoopDevice(1024 * 1024), new LoopDevice(1024 * 1024)];
});
after(() => {
  if (skip !== false) return;
  for (const each of [disk, other]) each.remove();
});

test('containers share a disk as a device; the guest can take it after the last is removed', {
  skip,
}, async () => {
  const disks = sysDisks();
  const one = await disks.attach(disk.path, 'a');
  const two = await disks.attach(disk.path, 'b');
  const refused = {
    kind: 'refused',
    message: /loop\d+ is a device of container [ab], .* remove that container/,
  };
  one.release();
  await assert.rejects(disks.take(disk.path), refused);
  await disks.take(other.path);
  two.release();
  await disks.take(disk.path);
});

test('a disk that a container has mounted is free for the other containers of the pod', {
  skip,
}, async () => {
  const disks = sysDisks();
  execFileSync('mkfs.ext4', ['-q', disk.path]);
  const point = mkdtempSync(join(tmpdir(), 'kata-mounted-'));
  const one = await disks.attach(disk.path, 'a');
  // As the container would: an exclusive open fails from here on.
  execFileSync('mount', [disk.path, point]);
  try {
    const two = await disks.attach(disk.path, 'b');
    one.release();
    const three = await disks.attach(disk.path, 'c');
    two.release();
    three.release();
    await assert.rejects(disks.attach(disk.path, 'd'), { kind: 'refused', message: /in use in the guest/ });
  } finally {
    execFileSync('umount', [point]);
    rmSync(point, { recursive: true });
  }
});

test('a disk that the guest uses is exclusive, also before the kernel claims it', { skip }, async () => {
  const disks = sysDisks();
  const release = await disks.take(disk.path);
  const inUse = { kind: 'refused', message: /loop\d+ is in use in the guest/ };
  await assert.rejects(disks.take(disk.path), inUse);
  await assert.rejects(disks.attach(disk.path, 'a'), inUse);
  release();
  await disks.attach(disk.path, 'a');
  await assert.rejects(disks.take('/dev/null'), { kind: 'invalid', message: /not a block device/ });
});

test('a link to a disk is no disk', { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-link-'));
  const link = join(directory, 'disk');
  symlinkSync(disk.path, link);
  try {
    const disks = sysDisks();
    for (const use of [() => disks.take(link), () => disks.attach(link, 'a')])
      await assert.rejects(use, { kind: 'invalid', message: /disk is not a block device/ });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a partition overlaps its disk and no other disk', { skip }, async () => {
  const { minor } = deviceNumber(lstatSync(disk.path, { bigint: true }).rdev);
  const sys = mkdtempSync(join(tmpdir(), 'kata-sys-'));
  try {
    // A sysfs in which the disk is a partition of 254:0.
    const partition = join(sys, 'devices/vda/vda1');
    mkdirSync(partition, { recursive: true });
    writeFileSync(join(sys, 'devices/vda/dev'), '254:0\n');
    writeFileSync(join(partition, 'partition'), '1\n');
    mkdirSync(join(sys, 'dev/block'), { recursive: true });
    symlinkSync(partition, join(sys, `dev/block/7:${minor}`));
    for (const [number, overlaps] of [
      [{ major: 254, minor: 0 }, true],
      [{ major: 7, minor }, true],
      [{ major: 254, minor: 2 }, false],
    ] as const) {
      const disks = sysDisks(sys);
      const release = disks.attachAgain(number, 'a');
      if (overlaps) await assert.rejects(disks.take(disk.path), { kind: 'refused' }, JSON.stringify(number));
      else await disks.take(disk.path);
      release();
    }
    const disks = sysDisks(sys);
    disks.attachAgain({ major: 7, minor }, 'a');
    await disks.take(other.path);
  } finally {
    rmSync(sys, { recursive: true });
  }
});

test('a disk that is open is taken as one that is named, and neither twice', { skip }, async () => {
  const disks = sysDisks();
  const held = await HeldDisk.open(disk.path, { media, log: (_, message) => assert.fail(message) });
  try {
    const release = await disks.takeHeld(held);
    const inUse = { kind: 'refused', message: /loop\d+ is in use in the guest/ };
    await assert.rejects(disks.takeHeld(held), inUse);
    await assert.rejects(disks.take(disk.path), inUse);
    await assert.rejects(disks.attach(disk.path, 'a'), inUse);
    release();
    (await disks.take(disk.path))();
  } finally {
    await held.close();
  }
});

test('a disk is released when the kernel has no use for it any more, or when it is gone', {
  skip,
}, async () => {
  execFileSync('mkfs.ext4', ['-q', disk.path]);
  const point = mkdtempSync(join(tmpdir(), 'kata-mounted-'));
  execFileSync('mount', [disk.path, point]);
  let released = false;
  const release = (): void => {
    released = true;
  };
  const waiting = sysDisks().releaseUnclaimed(disk.path, release);
  await delay(100);
  assert.equal(released, false);
  execFileSync('umount', [point]);
  rmSync(point, { recursive: true });
  await waiting;
  await sysDisks().releaseUnclaimed('/dev/nowhere', release);
});
