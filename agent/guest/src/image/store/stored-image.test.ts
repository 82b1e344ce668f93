import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadSyscalls, RecordingSyscalls, type ScriptedCalls, SyscallError } from '@kata-agent/linux';
import type { Disks } from '../../device/disks.js';
import type { GuestPaths } from '../../paths/guest-paths.js';
import type { HeldDisk } from '../../device/held-disk.js';
import { blockSize, HashTree, storeImage, treeBlocks } from './stored-image.js';
import { directMedia } from '../../media-thread/direct-media.js';

const Command = { Create: 3, Remove: 4, LoadTable: 9 } as const;

/** A guest with one disk, whose mapped devices are files, and a directory with an image in memory. */
class FakeGuest {
  readonly root: string;
  readonly directory: string;
  readonly events: string[] = [];
  readonly tables: string[] = [];
  readonly syscalls: RecordingSyscalls;
  readonly context: Parameters<typeof storeImage>[1];
  readonly image: Buffer = Buffer.alloc(5 * blockSize + 100, 'image ');
  #devices = 0;
  /** Whether other calls were served since a device was taken. */
  #paused = false;

  constructor(context: TestContext, { sectors = 1024, swaps = '' } = {}) {
    this.root = mkdtempSync(join(tmpdir(), 'kata-agent-stored-'));
    context.after(() => rmSync(this.root, { recursive: true }));
    this.directory = join(this.root, 'mounting');
    for (const path of ['mounting/packed', 'mounting/rootfs', 'dev/mapper', 'proc', 'sys/dev/block/7:3'])
      mkdirSync(join(this.root, path), { recursive: true });
    writeFileSync(join(this.directory, 'packed/image.erofs'), this.image);
    writeFileSync(join(this.root, 'proc/swaps'), `Filename Type Size Used Priority\n${swaps}`);
    writeFileSync(join(this.root, 'dev/mapper/control'), '');
    writeFileSync(join(this.root, 'sys/dev/block/7:3/size'), `${sectors}\n`);
    const scripted: ScriptedCalls = {
      flushBlockDevice: () => undefined,
      umount2: () => undefined,
      deviceMapper: (_fd, command, argument) => this.#mapper(command, Buffer.from(argument.buffer)),
      mount: (source, target, type) =>
        void this.events.push(
          `mount ${type} ${source.replace(this.root, '')} ${target.replace(this.root, '')}`,
        ),
    };
    this.syscalls = new RecordingSyscalls(scripted, loadSyscalls());
    const take = (disk: string): Promise<() => void> => {
      this.#paused = false;
      setImmediate(() => {
        this.#paused = true;
      });
      this.events.push(`take ${disk.replace(this.root, '')}`);
      return Promise.resolve(
        () => void this.events.push(`release${this.#isOpen(disk) ? ', still open' : ''}`),
      );
    };
    const paths = Object.fromEntries(
      ['dev', 'proc', 'sys'].map((name) => [name, join(this.root, name)]),
    ) as unknown as GuestPaths;
    const duringMapping = <T>(task: () => Promise<T>): Promise<T> => task();
    const takeHeld = ({ named }: Pick<HeldDisk, 'named'>): Promise<() => void> => take(named);
    const disks = { take, takeHeld, duringMapping } as unknown as Disks;
    this.context = {
      syscalls: this.syscalls,
      media: directMedia(this.syscalls),
      paths,
      disks,
      log: () => undefined,
    };
  }

  #isOpen(path: string): boolean {
    return readdirSync('/proc/self/fd').some((fd) => linkAt(`/proc/self/fd/${fd}`) === path);
  }

  #mapper(command: number, request: Buffer): void {
    if (command === Command.Create) {
      request.writeBigUInt64LE((253n << 8n) | BigInt(this.#devices), 40);
      writeFileSync(join(this.root, `dev/dm-${this.#devices}`), '');
      this.#devices += 1;
    }
    if (command === Command.LoadTable) {
      const text = (at: number): string => request.toString('latin1', at, request.indexOf(0, at));
      this.tables.push(`${text(312 + 24)} ${text(312 + 40)}`);
      this.events.push(`table ${text(312 + 24)}`);
      // What the image below has.
      if (this.#devices === 2) copyFileSync(join(this.root, 'dev/dm-0'), join(this.root, 'dev/dm-1'));
    }
    if (command === Command.Remove)
      this.events.push(`remove when it is not used${this.#paused ? ', after a pause' : ''}`);
  }

  store(signal: AbortSignal = new AbortController().signal): Promise<void> {
    const disk = { named: '/dev/vda', number: { major: 7, minor: 3 } } as HeldDisk;
    const image = join(this.directory, 'packed/image.erofs');
    return storeImage({ directory: this.directory, image, disk, container: 'c', signal }, this.context);
  }

  /** What was written to the encrypted device. */
  written(): Buffer {
    return readFileSync(join(this.root, 'dev/dm-0'));
  }
}

async function eventually(reached: () => boolean): Promise<void> {
  for (let look = 0; look < 200 && !reached(); look += 1) await delay(5);
}

/** Undefined: the descriptor was that of the directory. */
function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

test('image and hash tree are written, and the root hash is that of the bytes in memory', async (context) => {
  const guest = new FakeGuest(context);
  await guest.store();
  const padded = Buffer.concat([guest.image, Buffer.alloc(blockSize - 100)]);
  const [crypt = '', verity = ''] = guest.tables;
  assert.match(crypt, /^crypt aes-xts-plain64 [0-9a-f]{128} 0 7:3 0 1 sector_size:4096$/);
  const [, rootHash, salt = ''] =
    /^verity 1 \d+:\d+ \d+:\d+ 4096 4096 6 6 sha256 ([0-9a-f]{64}) ([0-9a-f]{64})$/.exec(verity) ?? [];
  const tree = new HashTree(Buffer.from(salt, 'hex'));
  tree.add(padded);
  const { rootHash: expected, blocks } = tree.finish();
  assert.equal(rootHash, expected);
  assert.ok(guest.written().equals(Buffer.concat([padded, blocks])));
  const top = createHash('sha256').update(Buffer.from(salt, 'hex')).update(blocks).digest('hex');
  assert.equal(rootHash, top, 'one block of the tree');
});

test('no request can name the devices before the kernel has claimed them, and it removes them, also if the agent is killed', async (context) => {
  const guest = new FakeGuest(context);
  const descriptors = readdirSync('/proc/self/fd').length;
  await guest.store();
  assert.deepEqual(
    guest.events.map((event) => event.replace(/fd\/\d+/, 'fd/N')),
    [
      'table crypt',
      'remove when it is not used',
      'take /dev/dm-0',
      'table verity',
      'take /dev/dm-1',
      'mount erofs /dev/dm-1 /mounting/lower',
      'release',
      'remove when it is not used',
      'release',
      'mount tmpfs tmpfs /mounting/writable',
      'mount overlay overlay /mounting/rootfs',
    ],
  );
  assert.equal(readdirSync('/proc/self/fd').length, descriptors);
});

test('a disk that is too small is refused before a device is made', async (context) => {
  const guest = new FakeGuest(context, { sectors: 55 });
  await assert.rejects(guest.store(), {
    kind: 'exhausted',
    message:
      /does not fit on the disk \/dev\/vda: it needs 28672 bytes, and the disk has 28160; help: attach/,
  });
  assert.deepEqual(guest.events, []);
});

test('what a taken-over mkfs.erofs leaves in place of an image is not followed, and blocks nothing', async (context) => {
  const guest = new FakeGuest(context);
  const image = join(guest.directory, 'packed/image.erofs');
  // Another container's image, which this container would get as its root.
  writeFileSync(join(guest.root, 'another.erofs'), 'secret');
  const others: Readonly<Record<string, () => void>> = {
    link: () => symlinkSync(join(guest.root, 'another.erofs'), image),
    fifo: () => void execFileSync('mkfifo', [image]),
    directory: () => mkdirSync(image),
  };
  for (const [name, make] of Object.entries(others)) {
    rmSync(image, { recursive: true });
    make();
    await assert.rejects(
      guest.store(),
      { kind: 'refused', message: /image of container c is not stored: mkfs.erofs has left no regular file/ },
      name,
    );
  }
  assert.deepEqual(guest.events, []);
});

test('an image that names another disk is not mounted', async (context) => {
  const guest = new FakeGuest(context);
  guest.image.writeUInt32LE(0xe0f5e1e2, 1024);
  guest.image.writeUInt32LE(0x8, 1024 + 0x50);
  guest.image.writeUInt16LE(1, 1024 + 0x56);
  guest.image.writeUInt16LE(32, 1024 + 0x58);
  guest.image.write('/dev/vdb\0', 4096);
  writeFileSync(join(guest.directory, 'packed/image.erofs'), guest.image);
  await assert.rejects(guest.store(), { kind: 'refused', message: /its EROFS names another disk/ });
  assert.ok(!guest.events.some((event) => event.startsWith('mount')));
  assert.deepEqual(guest.events.slice(-3), ['release', 'remove when it is not used', 'release']);
});

test('a guest with swap space stores no image', async (context) => {
  const guest = new FakeGuest(context, { swaps: '/dev/vdb partition 1 0 -2\n' });
  await assert.rejects(guest.store(), {
    kind: 'precondition',
    message: /the image of container c is not stored: the guest has swap space at \/dev\/vdb/,
  });
  assert.deepEqual(guest.events, []);
});

test('a failure and a removal in between release all devices', async (context) => {
  const aborted = new FakeGuest(context);
  const reason = new Error('the container is removed');
  await assert.rejects(aborted.store(AbortSignal.abort(reason)), reason);
  await eventually(() => aborted.events.length === 4);
  assert.deepEqual(aborted.events, [
    'table crypt',
    'remove when it is not used',
    'take /dev/dm-0',
    'release',
  ]);
  const failing = new FakeGuest(context);
  failing.syscalls.fail('flushBlockDevice', 'EIO');
  await assert.rejects(failing.store(), { code: 'EIO' });
  assert.equal(failing.events.at(-1), 'release');
});

test('a device of the device mapper that a container has, by its number, gets no image', async (context) => {
  const guest = new FakeGuest(context);
  const { disks } = guest.context;
  const take = disks.take.bind(disks);
  const refusal = new Error('is a device of container x');
  disks.take = async (disk) => {
    const release = await take(disk);
    if (disk.endsWith('dm-1')) throw refusal;
    return release;
  };
  await assert.rejects(guest.store(), refusal);
  assert.ok(!guest.events.some((event) => event.startsWith('mount')));
  assert.deepEqual(guest.events.slice(-2), ['remove when it is not used', 'release']);
});

test('a disk that stalls delays no removal', async (context) => {
  const guest = new FakeGuest(context);
  const handle = await open('/dev/null');
  await handle.close();
  context.mock.method(
    Object.getPrototypeOf(handle) as typeof handle,
    'datasync',
    () => new Promise(() => {}),
  );
  const controller = new AbortController();
  const reason = new Error('the container is removed');
  const storing = guest.store(controller.signal);
  setTimeout(() => controller.abort(reason), 50);
  await assert.rejects(storing, reason);
  await eventually(() => guest.events.length === 4);
  assert.deepEqual(guest.events.slice(2), ['take /dev/dm-0', 'release']);
});

test('a kernel without dm-crypt is named, with the remedy', async (context) => {
  const guest = new FakeGuest(context);
  guest.syscalls.script('deviceMapper', () => {
    throw SyscallError.named('ioctl', 'EINVAL');
  });
  await assert.rejects(guest.store(), { kind: 'precondition', message: /load the modules dm_crypt and xts/ });
});

const salt = '00ff'.repeat(16);

function hasVeritysetup(): boolean {
  try {
    execFileSync('veritysetup', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const skip = process.env['CI'] === 'true' || hasVeritysetup() ? false : 'needs veritysetup (cryptsetup-bin)';

/** Blocks that differ. */
function blocksOf(count: number): Buffer {
  const data = Buffer.alloc(count * blockSize);
  for (let index = 0; index < count; index += 1) data.writeUInt32LE(index + 1, index * blockSize);
  return data;
}

describe('a hash tree is the one that veritysetup makes', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-tree-'));
  after(() => rmSync(directory, { recursive: true }));

  // A tree has one level more from 129 and 16,385 blocks on.
  for (const count of [1, 2, 127, 128, 129, 300, 16_384, 16_385, 16_513])
    it(`of ${count} blocks`, () => {
      const data = blocksOf(count);
      const [file, hashes] = [join(directory, 'data'), join(directory, 'hashes')];
      writeFileSync(file, data);
      writeFileSync(hashes, '');
      const printed = execFileSync(
        'veritysetup',
        ['format', '--no-superblock', `--salt=${salt}`, file, hashes],
        { encoding: 'utf8' },
      );
      const tree = new HashTree(Buffer.from(salt, 'hex'));
      // In pieces, as an image is written.
      for (let at = 0; at < data.length; at += 100 * blockSize)
        tree.add(data.subarray(at, at + 100 * blockSize));
      const { rootHash, blocks } = tree.finish();
      assert.equal(rootHash, /^Root hash:\s+([0-9a-f]+)$/m.exec(printed)?.[1]);
      assert.ok(blocks.equals(readFileSync(hashes)), 'the blocks of the tree');
      assert.equal(blocks.length, treeBlocks(count) * blockSize);
    });
});
