import { closeSync, existsSync, fstatSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, Open } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';
import { type DeviceNumber, deviceNumber } from './device-number.js';
import type { HeldDisk } from './held-disk.js';

interface Use {
  readonly number: string;
  /** The number of the disk that a partition belongs to; else `number`. */
  readonly whole: string;
  /** The container that has the disk as a device; undefined: the guest uses it. */
  readonly container: string | undefined;
  /** The guest mounts it as a read-only layer of a root. */
  readonly layer: boolean;
}

/**
 * The disks in use by devices, storages and swap (S11). The kernel knows what is mounted, swapped to or part of another
 * device, but not which disks containers have as devices: those are registered here. Several containers may have the same
 * disk as a device; a disk that the guest mounts or swaps to is exclusive, since a container with the device could
 * write to the mounted file system.
 */
export class Disks {
  readonly #sys: string;
  readonly #uses: Set<Use> = new Set();
  #mapping = 0;

  /** `sys`: `/sys`. */
  constructor(sys: string) {
    this.#sys = sys;
  }

  /**
   * Registers a disk as a device of a container; `release` removes it. A disk that another container already has as a
   * device may be claimed: a container that mounts a disk of its own claims it, and the guest cannot (`take`).
   *
   * @param disk path of the device node
   * @throws GuestError `invalid`: not a block device; `refused`: the guest uses it
   */
  attach(disk: string, container: string): DeviceNumber & { readonly release: () => void } {
    return withNode(disk, (node) => {
      if (this.#mapping > 0 && this.#isMapped(node.number)) throw inUse(disk);
      const use = this.#use(node.number, container);
      if ([...this.#uses].some((other) => other.container === undefined && overlap(use, other)))
        throw inUse(disk);
      if (!this.#hasContainer(use)) refuseClaimed(node);
      return { ...node.number, release: this.#add(use) };
    });
  }

  /** Registers a disk of a container of an earlier agent process. */
  attachAgain(number: DeviceNumber, container: string): () => void {
    return this.#add(this.#use(number, container));
  }

  /**
   * Runs a task that creates devices of the device mapper, until they are taken or mounted: until then no container gets any of
   * them, whose names a request can guess.
   */
  async duringMapping<T>(task: () => Promise<T>): Promise<T> {
    this.#mapping += 1;
    try {
      return await task();
    } finally {
      this.#mapping -= 1;
    }
  }

  /**
   * Takes a disk for the guest itself, to mount or to swap to; the result releases it.
   *
   * @param disk path of the device node
   * @throws GuestError `invalid`: not a block device; `refused`: the guest uses it already, or a container has it
   */
  take(disk: string): () => void {
    return withNode(disk, (node) => this.takeHeld(node));
  }

  /** Takes a disk that is open, as `take`. @throws GuestError as `take` */
  takeHeld(disk: OpenNode): () => void {
    const use = this.#use(disk.number, undefined);
    this.#refuseOverlap(disk.named, use, () => false);
    refuseClaimed(disk);
    return this.#add(use);
  }

  /**
   * Takes a disk for the guest to mount as a read-only layer of a root; the result releases it. Containers of the same
   * image share it: runtime-rs attaches a file of the host once.
   *
   * @throws GuestError as `take`
   */
  takeLayer(disk: OpenNode): () => void {
    const use = { ...this.#use(disk.number, undefined), layer: true };
    const isSame = ({ number, layer }: Use): boolean => layer && number === use.number;
    this.#refuseOverlap(disk.named, use, isSame);
    if (![...this.#uses].some(isSame)) refuseClaimed(disk);
    return this.#add(use);
  }

  /** Takes a layer of a container of an earlier agent process, which the kernel has claimed already. */
  takeLayerAgain(disk: string): () => void {
    return withNode(disk, ({ number }) => this.#add({ ...this.#use(number, undefined), layer: true }));
  }

  #refuseOverlap(disk: string, use: Use, isShared: (other: Use) => boolean): void {
    const other = [...this.#uses].find((each) => overlap(use, each) && !isShared(each));
    if (other?.container !== undefined)
      throw new GuestError(
        'refused',
        `the disk ${disk} is a device of container ${other.container}, which could read and change its content; help: remove that container first`,
      );
    if (other !== undefined) throw inUse(disk);
  }

  /** Reports whether a container has the whole of what is used: the same disk or partition, or the disk that it is on. */
  #hasContainer({ number, whole }: Use): boolean {
    return [...this.#uses].some(
      (other) => other.container !== undefined && (other.number === number || other.number === whole),
    );
  }

  #add(use: Use): () => void {
    this.#uses.add(use);
    return () => void this.#uses.delete(use);
  }

  #use({ major, minor }: DeviceNumber, container: string | undefined): Use {
    const number = `${major}:${minor}`;
    return { number, whole: this.#wholeOf(number), container, layer: false };
  }

  #isMapped({ major, minor }: DeviceNumber): boolean {
    return existsSync(join(this.#sys, 'dev/block', `${major}:${minor}`, 'dm'));
  }

  #wholeOf(number: string): string {
    const directory = join(this.#sys, 'dev/block', number);
    if (!existsSync(join(directory, 'partition'))) return number;
    return readFileSync(join(realpathSync(directory), '../dev'), 'utf8').trim();
  }
}

/** Reports whether they are the same disk, or a disk and its partition. */
function overlap(one: Use, other: Use): boolean {
  return one.number === other.number || one.whole === other.number || one.number === other.whole;
}

/** A device node that is open, so that it is the same one each time: `path` leads to it, `named` is for messages. */
type OpenNode = Pick<HeldDisk, 'named' | 'path' | 'number'>;

/** Runs a task with a device node that is open meanwhile. @throws GuestError `invalid`: not a block device */
function withNode<T>(disk: string, task: (node: OpenNode) => T): T {
  // Not the device: opening it could fail, and is not needed to know its number.
  const fd = openSync(disk, Open.Path | Open.NoFollow);
  try {
    const stat = fstatSync(fd, { bigint: true });
    if (!stat.isBlockDevice()) throw new GuestError('invalid', `${disk} is not a block device`);
    return task({ named: disk, path: `/proc/self/fd/${fd}`, number: deviceNumber(stat.rdev) });
  } finally {
    closeSync(fd);
  }
}

/** Refuses a disk that the kernel has claimed. */
function refuseClaimed(disk: OpenNode): void {
  const busy = claimOf(disk);
  if (busy !== undefined) throw inUse(disk.named, busy);
}

/**
 * Returns the error by which the kernel says that it has claimed a disk: that it is mounted, used as swap or part of another device, or
 * has such a partition. Opening it with O_EXCL fails with EBUSY (block/bdev.c).
 */
function claimOf({ path }: OpenNode): unknown {
  try {
    closeSync(openSync(path, Open.ReadOnly | Open.Exclusive | Open.NonBlock));
    return undefined;
  } catch (error) {
    if (hasCode(error, 'EBUSY')) return error;
    throw error;
  }
}

/** Waits until the kernel has released a disk: it removes a mapped device a moment after its last user. Gives up after a second. */
export async function untilReleased(disk: string): Promise<void> {
  for (let look = 0; look < 50; look += 1) {
    try {
      if (withNode(disk, claimOf) === undefined) return;
    } catch (error) {
      // The host has taken it away.
      if (hasCode(error, 'ENOENT', 'ENXIO')) return;
      throw error;
    }
    await delay(20);
  }
}

function inUse(disk: string, cause?: unknown): GuestError {
  return new GuestError(
    'refused',
    `the disk ${disk} is in use in the guest; help: name a disk that the guest does not use`,
    {
      cause,
    },
  );
}
