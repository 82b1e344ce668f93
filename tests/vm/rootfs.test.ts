import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, openSync, closeSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { boot, type Image, imageOf, listening, whyNoMachine } from './machine.js';

const skip = whyNoMachine() ?? false;

describe('a guest on a disk that the initramfs knows by its root hash', { skip }, () => {
  let folder = '';
  let image: Image;
  let disk = '';

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-vm-rootfs-'));
    image = await imageOf('rootfs', { rootfs: true });
    disk = image.disks[0]?.path ?? '';
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  it('boots to an agent that listens, in 256 MB', async () => {
    const machine = await boot(image, join(folder, 'good'), { bare: true, disks: [disk], memory: 256 });
    await machine.line(listening);
    await machine.kill();
  });

  it('does not boot when a bit of the disk was changed', async () => {
    const changed = join(folder, 'changed.erofs');
    copyFileSync(disk, changed);
    const fd = openSync(changed, 'r+');
    // In the superblock, which is read first; dm-verity finds it before the file system does.
    writeSync(fd, Buffer.from([1]), 0, 1, 1024 + 100);
    closeSync(fd);
    const machine = await boot(image, join(folder, 'bad'), { bare: true, disks: [changed], memory: 256 });
    await machine.ended;
    assert.match(machine.lines.join('\n'), /Kernel panic/);
    assert.doesNotMatch(machine.lines.join('\n'), listening);
  });
});
