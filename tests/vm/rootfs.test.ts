import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { boot, type Image, imageOf, listening, whyNoMachine } from './machine.js';

const skip = whyNoMachine('erofs-utils', 'cryptsetup-bin') ?? false;

/** Words that would have a shell, a dynamic linker or Node do something, if one of them saw them. */
const words = [
  'NODE_OPTIONS=--require=/nowhere.js',
  'LD_PRELOAD=/nowhere.so',
  'LD_LIBRARY_PATH=/nowhere',
  'ENV=/etc/verity-table',
  'PATH=/nowhere',
  'IFS=/',
  'bb=/nowhere',
  'PS4=/',
  'SHELLOPTS=xtrace',
  'DM_DEV_DIR=/nowhere',
  '--',
  '-x',
  '--explain',
  '-c',
  '/nowhere',
];

/** What dm-verity checks at once. */
const blockSize = 4096;

/** The line that opens the disk, as the initramfs has it. */
function verityTable({ initrd }: Image): string {
  const { stdout } = spawnSync('zstd', ['-dc', initrd.path], { encoding: 'latin1', maxBuffer: 1 << 30 });
  const [table] = /\d+ \d+ verity [^\0]+/.exec(stdout) ?? [];
  assert.ok(table, 'the initramfs has a table');
  return table;
}

describe('a guest on a disk that the initramfs knows by its root hash', { skip }, () => {
  let folder = '';
  let image: Image;
  let disk = '';
  let count = 0;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-vm-rootfs-'));
    image = await imageOf('rootfs', { rootfs: true });
    disk = image.disks[0]?.path ?? '';
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  /** A copy of the disk with one bit changed in each block from one offset to another. */
  function changed(from: number, to: number): string {
    const bytes = readFileSync(disk);
    for (let offset = from; offset < to; offset += blockSize)
      bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset);
    const file = join(folder, `changed-${from}.erofs`);
    writeFileSync(file, bytes);
    return file;
  }

  /** All that the console said until the machine was off, where the kernel’s line does not tell it to end at a panic. */
  async function console(options: Parameters<typeof boot>[2]): Promise<string> {
    const machine = await boot(image, join(folder, String(++count)), {
      bare: true,
      memory: 256,
      append: ['panic=0'],
      ...options,
    });
    // The kernel says so only when it stays.
    const hangs = await machine.line(/end Kernel panic/).then(
      () => true,
      () => false,
    );
    if (hangs) await machine.kill();
    const said = machine.lines.join('\n');
    assert.ok(!hangs, said);
    return said;
  }

  it('boots to an agent that listens, in 256 MB, and words of the kernel’s line have no effect (S23)', async () => {
    const machine = await boot(image, join(folder, 'good'), {
      bare: true,
      disks: [disk],
      memory: 256,
      append: words,
    });
    try {
      await machine.line(listening);
      const said = machine.lines.join('\n');
      assert.doesNotMatch(said, /nowhere|not found|ld\.so|^\+/m);
    } finally {
      await machine.kill();
    }
  });

  it('ends when a bit of the superblock was changed', async () => {
    // It is read first; dm-verity finds it before the file system does.
    const said = await console({ disks: [changed(1024 + 100, blockSize)] });
    assert.match(said, /verity: .*block \d+ is corrupted/);
    assert.doesNotMatch(said, listening);
  });

  it('ends when bits of a program were changed', async () => {
    // Node.js is most of the disk, and not all of it is read at a start.
    const size = statSync(disk).size;
    const said = await console({ disks: [changed(Math.floor(size / 4), Math.floor(size / 2))] });
    assert.match(said, /verity: .*block \d+ is corrupted/);
    assert.doesNotMatch(said, listening);
  });

  it('ends when its disk belongs to another root hash', async () => {
    const other = verityTable(image).replace(/sha256 ....../, 'sha256 000000');
    const said = await console({
      disks: [disk],
      overlay: [{ path: '/etc/verity-table', data: Buffer.from(other), mode: 0o644 }],
    });
    assert.match(said, /verity: .*block \d+ is corrupted/);
    assert.doesNotMatch(said, listening);
  });

  it('says so when there is no disk, and ends', async () => {
    const said = await console({});
    assert.match(said, /kata-agent: the root file system cannot be opened; the machine is powered off/);
    assert.doesNotMatch(said, /Kernel panic/);
  });
});
