import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { boot, type Image, imageOf, listening, whyNoMachine } from './machine.js';

const skip = whyNoMachine('erofs-utils', 'cryptsetup-bin') ?? false;

/** Words that would affect a shell, a dynamic linker or Node if one of them saw them. */
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

/** The block size of dm-verity. */
const blockSize = 4096;

/** The command that opens the disk, in the initramfs. */
function verityTable({ initrd }: Image): string {
  const { stdout } = spawnSync('zstd', ['-dc', initrd.path], { encoding: 'latin1', maxBuffer: 1 << 30 });
  const [table] = /\d+ \d+ verity [^\0]+/.exec(stdout) ?? [];
  assert.ok(table, 'the initramfs has a table');
  return table;
}

describe('a guest on a disk with a root hash in the initramfs', { skip }, () => {
  let directory = '';
  let image: Image;
  let disk = '';
  let count = 0;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-vm-rootfs-'));
    image = await imageOf('rootfs', { rootfs: true });
    disk = image.disks[0]?.path ?? '';
  });

  after(() => rmSync(directory, { recursive: true, force: true }));

  /** A copy of the disk with one bit changed in each block of a range. */
  function changed(from: number, to: number): string {
    const bytes = readFileSync(disk);
    for (let offset = from; offset < to; offset += blockSize)
      bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset);
    const file = join(directory, `changed-${from}.erofs`);
    writeFileSync(file, bytes);
    return file;
  }

  /** The console's output until power-off; the kernel command line does not reboot at a panic. */
  async function console(options: Parameters<typeof boot>[2]): Promise<string> {
    const machine = await boot(image, join(directory, String(++count)), {
      bare: true,
      memory: 256,
      append: ['panic=0'],
      ...options,
    });
    // The kernel prints that only if it halts.
    const hangs = await machine.line(/end Kernel panic/).then(
      () => true,
      () => false,
    );
    if (hangs) await machine.kill();
    const output = machine.lines.join('\n');
    assert.ok(!hangs, output);
    return output;
  }

  it('boots until the agent listens, in 256 MB, and words of the kernel command line have no effect (S23)', async () => {
    const machine = await boot(image, join(directory, 'good'), {
      bare: true,
      disks: [disk],
      memory: 256,
      append: words,
    });
    try {
      await machine.line(listening);
      const output = machine.lines.join('\n');
      assert.doesNotMatch(output, /nowhere|not found|ld\.so|^\+/m);
    } finally {
      await machine.kill();
    }
  });

  it('stops after a changed bit in the superblock', async () => {
    // It is read first; dm-verity detects the change before the file system does.
    const output = await console({ disks: [changed(1024 + 100, blockSize)] });
    assert.match(output, /verity: .*block \d+ is corrupted/);
    assert.doesNotMatch(output, listening);
  });

  it('stops after changed bits in a program', async () => {
    // Node.js is most of the disk, and not all of it is read at a start.
    const size = statSync(disk).size;
    const output = await console({ disks: [changed(Math.floor(size / 4), Math.floor(size / 2))] });
    assert.match(output, /verity: .*block \d+ is corrupted/);
    assert.doesNotMatch(output, listening);
  });

  it('stops on a disk with another root hash', async () => {
    const other = verityTable(image).replace(/sha256 ....../, 'sha256 000000');
    const output = await console({
      disks: [disk],
      overlay: [{ path: '/etc/verity-table', data: Buffer.from(other), mode: 0o644 }],
    });
    assert.match(output, /verity: .*block \d+ is corrupted/);
    assert.doesNotMatch(output, listening);
  });

  it('reports a missing disk, and stops', async () => {
    const output = await console({});
    assert.match(output, /kata-agent: the root file system cannot be opened; the machine is powered off/);
    assert.doesNotMatch(output, /Kernel panic/);
  });
});
