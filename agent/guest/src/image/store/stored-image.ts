import { createHash, type Hash, randomBytes, randomUUID } from 'node:crypto';
import { fstatSync, readFileSync, rmdirSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasCode, Open, type Syscalls, unmountTree } from '@kata-agent/linux';
import { refuseSwap } from '../../confidential/refuse-swap.js';
import { UndoStack } from '../../undo-stack.js';
import { makeWritableLayer } from '../../storage/writable-layer.js';
import type { Disks } from '../../device/disks.js';
import type { GuestLog } from '../../guest-log.js';
import type { HostMedia } from '../../media/host-media.js';
import type { GuestPaths } from '../../paths/guest-paths.js';
import { deviceNumber, type DeviceNumber } from '../../device/device-number.js';
import { HeldDisk } from '../../device/held-disk.js';
import { GuestError } from '../../guest-error.js';
import { mountErofs, mountOverlay, withOverlay } from '../../storage/drivers/multi-layer-erofs.js';
import { mapperControl, openVerity, verityName } from '../../storage/drivers/verity.js';
import type { Verity } from '../../storage/drivers/verity-table.js';
import { untilAborted } from '../../until-aborted.js';
import type { OpenedCrypt } from './store-calls.js';

/** The unit of the kernel's numbers, whatever the disk has. */
const sectorSize = 512;

/** Bytes of a block of data, and of one of the tree. */
export const blockSize = 4096;

const digestSize = 32;

const digestsInBlock = blockSize / digestSize;

/** The parts of the guest that the image's disk needs. */
interface StoreContext {
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly paths: GuestPaths;
  readonly disks: Disks;
  readonly log: GuestLog;
}

type LayerMounts = Pick<StoreContext, 'media' | 'syscalls'> & {
  /** Not run: the directory is cleared as a whole. */
  readonly made: UndoStack;
};

/** An image in memory, and the disk for it. */
export interface ImageToStore {
  /** The directory where the layers and the root are mounted, and that the caller clears. */
  readonly directory: string;
  /** Path of the EROFS image, in a tmpfs at `packed` in the directory. */
  readonly image: string;
  readonly disk: HeldDisk;
  readonly container: string;
  readonly signal: AbortSignal;
}

const saltSize = 32;
/** Other calls are served between two chunks. */
const chunkSize = 256 * blockSize;

/**
 * Writes an EROFS image to a disk of the host, encrypted, and mounts it from there at `rootfs` in the directory, with memory above for
 * writes. The key and the root hash of dm-verity exist in memory alone, and the hash tree is made of the bytes that are written, and
 * not of what the disk returns (docs/adr/images.md, "Images on disks"). The kernel removes the mapped devices with the last mount.
 *
 * @throws GuestError `exhausted`: the disk is too small; `precondition`: the guest has swap space, or no dm-crypt
 */
export async function storeImage(
  { directory, image, disk, container, signal }: ImageToStore,
  context: StoreContext,
): Promise<void> {
  const { syscalls, media, log } = context;
  const began = performance.now();
  refuseSwap(context.paths.proc, `the image of container ${container} is not stored`);
  // Removing a device that is in use leaves that to its last user: the agent, or the next agent, only unmounts.
  const devices = new UndoStack();
  const mounts: LayerMounts = { media, syscalls, made: new UndoStack() };
  try {
    const mountLayer = async (device: string): Promise<void> =>
      void (await mountErofs(device, join(directory, 'lower'), [], mounts));
    const size = await context.disks.duringMapping(() =>
      writeImage({ image, disk, container, signal, mountLayer }, context, devices),
    );
    unmountTree(syscalls, join(directory, 'packed'));
    log('info', 'an image was stored', {
      container,
      disk: disk.named,
      bytes: String(size),
      ms: String(Math.round(performance.now() - began)),
    });
  } finally {
    for (const { message } of await devices.unwind()) log('error', message, { container });
  }
  await mountRoot(directory, mounts);
}

interface WrittenImage extends Omit<ImageToStore, 'directory'> {
  /** Mounts the image from its dm-verity device. */
  readonly mountLayer: (device: string) => Promise<void>;
}

/** Returns the number of bytes that were written. */
async function writeImage(
  { image, disk, container, signal, mountLayer }: WrittenImage,
  context: StoreContext,
  devices: UndoStack,
): Promise<number> {
  const source = await openImage(image, container);
  try {
    const dataBlocks = Math.ceil((await source.stat()).size / blockSize);
    const size = (dataBlocks + treeBlocks(dataBlocks)) * blockSize;
    checkSize(disk, size, container, context);
    const { target, release } = await takeCrypt(disk, size, context);
    try {
      const salt = randomBytes(saltSize);
      // A write to a disk that stalls is abandoned.
      const rootHash = await untilAborted(copy(source, target, { dataBlocks, salt, signal }), signal);
      // Reads through dm-verity would not use what is cached here.
      await context.media.run('flushDisk', {}, [target.fd]);
      const verity: Verity = {
        rootHash,
        hashOffset: dataBlocks * blockSize,
        dataBlockSize: blockSize,
        hashBlockSize: blockSize,
        algorithm: 'sha256',
        salt: salt.toString('hex'),
        format: 1,
        superblock: false,
      };
      const name = verityName(verity, container);
      const number = deviceNumber(fstatSync(target.fd, { bigint: true }).rdev);
      const below = { number, named: disk.named };
      // Without a pause: until it is mounted, a request could name its node, too.
      const device = await openVerity(below, verity, name, { ...context, made: devices });
      // A container could have its number, by which its device rules are.
      const releaseLayer = await context.disks.take(device);
      try {
        await mountLayer(device);
      } finally {
        releaseLayer();
      }
      return size;
    } finally {
      // Before the first pause: a request could name a dm-verity device that is not mounted, and a mounted one is left if this process
      // ends.
      for (const { message } of await devices.unwind()) context.log('error', message, { container });
      // Closing writes what is left, for as long as the host wants: until then a request could name the node.
      const closed = target.close().finally(release);
      if (signal.aborted) closed.catch((error: unknown) => context.log('warn', String(error), { container }));
      else await closed;
    }
  } finally {
    await source.close();
  }
}

/**
 * Opens what the process that packs has left. The files of an image could have taken that process over: a link would name any file of the guest,
 * and opening a FIFO would take a thread of the agent for ever.
 */
async function openImage(path: string, container: string): Promise<FileHandle> {
  const flags = Open.ReadOnly | Open.NoFollow | Open.NonBlock;
  const file = await open(path, flags).catch((error: unknown) => {
    if (hasCode(error, 'ELOOP')) throw notAFile(container, error);
    throw error;
  });
  try {
    if (!(await file.stat()).isFile()) throw notAFile(container);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function notAFile(container: string, cause?: unknown): GuestError {
  return new GuestError(
    'refused',
    `the image of container ${container} is not stored: mkfs.erofs has left no regular file; help: do not use this image`,
    { cause },
  );
}

function checkSize(disk: HeldDisk, needed: number, container: string, { paths }: StoreContext): void {
  const size = diskSize(disk.number, paths.sys);
  if (size >= needed) return;
  throw new GuestError(
    'exhausted',
    `the image of container ${container} does not fit on the disk ${disk.named}: it needs ${needed} bytes, and the disk has ${size}; help: attach a larger disk`,
  );
}

/** A device that encrypts, which the kernel removes with its last user. */
interface Crypt {
  readonly target: FileHandle;
  /** A request could name its node. The kernel has claimed it when it is released here. */
  readonly release: () => void;
}

async function takeCrypt(disk: HeldDisk, size: number, context: StoreContext): Promise<Crypt> {
  const { node, fd } = await openCrypt(disk, size, context);
  const crypt = HeldDisk.of({ fd, ...deviceNumber(fstatSync(fd, { bigint: true }).rdev) }, node, context);
  try {
    const release = await context.disks.takeHeld(crypt);
    try {
      return { target: await open(`/proc/self/fd/${fd}`, 'r+'), release };
    } catch (error) {
      release();
      throw error;
    }
  } finally {
    await crypt.close();
  }
}

async function openCrypt(disk: HeldDisk, size: number, context: StoreContext): Promise<OpenedCrypt> {
  const { media, paths } = context;
  const name = `kata-image-${randomUUID()}`;
  const control = mapperControl(context);
  try {
    return await media.run('openCrypt', { control, name, disk: disk.number, size, dev: paths.dev });
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EINVAL')) throw error;
    throw new GuestError(
      'precondition',
      `${disk.named} cannot be encrypted: the kernel has no device mapper, or rejects a dm-crypt device with aes-xts-plain64; help: load the modules dm_crypt and xts, or use an image with --with image-disk`,
      { cause: error },
    );
  }
}

interface Copying {
  readonly dataBlocks: number;
  readonly salt: Buffer;
  readonly signal: AbortSignal;
}

/** Writes an image, and its hash tree behind it. Returns the root hash. */
async function copy(
  source: FileHandle,
  target: FileHandle,
  { dataBlocks, salt, signal }: Copying,
): Promise<string> {
  const tree = new HashTree(salt);
  const end = dataBlocks * blockSize;
  const chunk = Buffer.alloc(Math.min(chunkSize, end));
  for (let at = 0; at < end; at += chunk.length) {
    signal.throwIfAborted();
    const data = chunk.subarray(0, Math.min(chunk.length, end - at));
    await readFully(source, data, at);
    tree.add(data);
    await writeFully(target, data, at);
  }
  const { rootHash, blocks } = tree.finish();
  for (let at = 0; at < blocks.length; at += chunkSize) {
    signal.throwIfAborted();
    await writeFully(target, blocks.subarray(at, at + chunkSize), end + at);
  }
  await target.datasync();
  return rootHash;
}

/** The last block of a file may be a part of one. */
async function readFully(file: FileHandle, into: Buffer, position: number): Promise<void> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await file.read(into, at, into.length - at, position + at);
    if (bytesRead === 0) {
      into.fill(0, at);
      return;
    }
    at += bytesRead;
  }
}

async function writeFully(file: FileHandle, data: Buffer, position: number): Promise<void> {
  for (let at = 0; at < data.length; ) {
    const { bytesWritten } = await file.write(data, at, data.length - at, position + at);
    at += bytesWritten;
  }
}

/** Mounts the layer, and a writable one above it, at `rootfs`. */
async function mountRoot(directory: string, mounts: LayerMounts): Promise<void> {
  const { syscalls, made } = mounts;
  const writable = makeWritableLayer(directory, syscalls, made);
  const rootfs = join(directory, 'rootfs');
  rmdirSync(rootfs);
  const layers = {
    writable: dirname(writable.upper),
    lowers: [join(directory, 'lower')],
    directories: [],
    asTop: true,
  };
  await withOverlay(layers, mounts, (overlay) => mountOverlay(rootfs, overlay, mounts));
}

/** The hash tree of a dm-verity device, and its root hash in hex. */
interface FinishedTree {
  readonly rootHash: string;
  /** The blocks of the tree, in the order of the device: the highest level first. */
  readonly blocks: Buffer;
}

/**
 * The hash tree of a dm-verity device with format 1, SHA-256 and blocks of 4096 bytes, made from blocks as they are written
 * (Linux, Documentation/admin-guide/device-mapper/verity.rst).
 */
export class HashTree {
  readonly #start: Hash;
  #digests: Buffer[] = [];

  constructor(salt: Uint8Array) {
    this.#start = createHash('sha256').update(salt);
  }

  /** Adds whole blocks of data. */
  add(data: Uint8Array): void {
    this.#digests.push(this.#digestsOf(data));
  }

  finish(): FinishedTree {
    let digests = Buffer.concat(this.#digests);
    this.#digests = [];
    const levels: Buffer[] = [];
    // A single digest is the root hash: one block of data has no tree.
    while (digests.length > digestSize) {
      const level = Buffer.alloc(Math.ceil(digests.length / blockSize) * blockSize);
      digests.copy(level);
      levels.unshift(level);
      digests = this.#digestsOf(level);
    }
    return { rootHash: digests.toString('hex'), blocks: Buffer.concat(levels) };
  }

  #digestsOf(blocks: Uint8Array): Buffer<ArrayBuffer> {
    const digests = Buffer.alloc((blocks.length / blockSize) * digestSize);
    for (let index = 0; index * blockSize < blocks.length; index += 1) {
      const block = blocks.subarray(index * blockSize, (index + 1) * blockSize);
      this.#start
        .copy()
        .update(block)
        .digest()
        .copy(digests, index * digestSize);
    }
    return digests;
  }
}

/** Returns the number of blocks of a tree. */
export function treeBlocks(dataBlocks: number): number {
  let blocks = 0;
  for (let left = dataBlocks; left > 1; ) {
    left = Math.ceil(left / digestsInBlock);
    blocks += left;
  }
  return blocks;
}

/** Returns the size of a disk in bytes. `sys`: `/sys`. */
function diskSize({ major, minor }: DeviceNumber, sys: string): number {
  return sectorSize * Number(readFileSync(join(sys, 'dev/block', `${major}:${minor}`, 'size'), 'utf8'));
}
