import { closeSync, existsSync, fstatSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, Open } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { type HostMedia, lateEnd } from '../media/host-media.js';
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

/** A look at the kernel's claim of a disk, for a use that is registered already. */
interface Look {
  /** Resolves when its call has its result, or has failed. */
  ended: Promise<unknown>;
  /** Its call has failed, and the thread that makes it still waits for the host. */
  isLate: boolean;
}

/**
 * The disks in use by devices, storages and swap (S11). The kernel knows what is mounted, swapped to or part of another
 * device, but not which disks containers have as devices: those are registered here. Several containers may have the same
 * disk as a device; a disk that the guest mounts or swaps to is exclusive, since a container with the device could
 * write to the mounted file system.
 *
 * A use is registered at once, and then a thread asks the kernel whether it has claimed the disk: the host can delay the answer. Until
 * then the use excludes others, and grants nothing to them.
 */
export class Disks {
  readonly #sys: string;
  readonly #media: HostMedia;
  readonly #uses: Set<Use> = new Set();
  readonly #looks: Map<Use, Look> = new Map();
  #mapping = 0;

  /** `sys`: `/sys`. */
  constructor(sys: string, media: HostMedia) {
    this.#sys = sys;
    this.#media = media;
  }

  /**
   * Registers a disk as a device of a container; `release` removes it. A disk that another container already has as a
   * device may be claimed: a container that mounts a disk of its own claims it, and the guest cannot (`take`).
   *
   * @param disk path of the device node
   * @throws GuestError `invalid`: not a block device; `refused`: the guest uses it; `deadline` or `exhausted`: the host does not answer
   */
  attach(disk: string, container: string): Promise<DeviceNumber & { readonly release: () => void }> {
    return withNode(disk, async (node) => {
      const release = await this.#register(this.#use(node.number, container), node, {
        check: (use) => {
          if (this.#mapping > 0 && this.#isMapped(node.number)) throw inUse(disk);
          if ([...this.#uses].some((other) => other.container === undefined && overlap(use, other)))
            throw inUse(disk);
        },
        mayBeClaimed: (use) => this.#hasContainer(use),
      });
      return { ...node.number, release };
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
   * @throws GuestError `invalid`: not a block device; `refused`: the guest uses it already, or a container has it; `deadline` or
   * `exhausted`: the host does not answer
   */
  take(disk: string): Promise<() => void> {
    return withNode(disk, (node) => this.takeHeld(node));
  }

  /** Takes a disk that is open, as `take`. @throws GuestError as `take` */
  takeHeld(disk: OpenNode): Promise<() => void> {
    return this.#register(this.#use(disk.number, undefined), disk, {
      check: (use) => this.#refuseOverlap(disk.named, use, () => false),
      mayBeClaimed: () => false,
    });
  }

  /**
   * Takes a disk for the guest to mount as a read-only layer of a root; the result releases it. Containers of the same
   * image share it: runtime-rs attaches a file of the host once.
   *
   * @throws GuestError as `take`
   */
  takeLayer(disk: OpenNode): Promise<() => void> {
    const layer = { ...this.#use(disk.number, undefined), layer: true };
    const isSame = (other: Use): boolean => other.layer && other.number === layer.number;
    return this.#register(layer, disk, {
      check: (use) => this.#refuseOverlap(disk.named, use, isSame),
      mayBeClaimed: () => [...this.#uses].some(isSame),
    });
  }

  /** Takes a layer of a container of an earlier agent process, which the kernel has claimed already. */
  takeLayerAgain(disk: string): () => void {
    const { fd, number } = openNode(disk);
    closeSync(fd);
    return this.#add({ ...this.#use(number, undefined), layer: true });
  }

  /**
   * Releases a disk when the kernel has no claim on it any more: it removes a mapped device a moment after its last user. Gives up
   * after a second.
   */
  async releaseUnclaimed(disk: string, release: () => void): Promise<void> {
    try {
      await this.#untilUnclaimed(disk);
    } catch (error) {
      afterLook(error, release);
      throw error;
    }
    release();
  }

  /**
   * Registers a use, and has a thread look at the kernel's claim; the result removes the use.
   *
   * @param check throws if another use excludes it
   * @param mayBeClaimed reports whether the others that share the disk can have had it claimed; they have it for certain
   */
  async #register(
    use: Use,
    disk: OpenNode,
    {
      check,
      mayBeClaimed,
    }: { readonly check: (use: Use) => void; readonly mayBeClaimed: (use: Use) => boolean },
  ): Promise<() => void> {
    for (;;) {
      const other = this.#lookNear(use);
      if (other?.isLate === true) throw stillLooking(disk.named);
      check(use);
      if (other === undefined) break;
      // That use may be refused; and of two looks at the same time, one would meet the other one's claim.
      await other.ended;
    }
    const isShared = mayBeClaimed(use);
    const release = this.#add(use);
    if (isShared) return release;
    const look: Look = { ended: Promise.resolve(), isLate: false };
    this.#looks.set(use, look);
    const looked = this.#look(disk, look, {
      end: () => void this.#looks.delete(use),
      release,
    });
    look.ended = looked.catch(() => undefined);
    await looked;
    return release;
  }

  async #look(
    disk: OpenNode,
    look: Look,
    { end, release }: { readonly end: () => void; readonly release: () => void },
  ): Promise<void> {
    try {
      await this.#media.run('openExclusively', {}, [disk.fd]);
      end();
    } catch (error) {
      look.isLate = afterLook(error, () => {
        end();
        release();
      });
      throw hasCode(error, 'EBUSY') ? inUse(disk.named, error) : error;
    }
  }

  #lookNear(use: Use): Look | undefined {
    const looks = [...this.#looks].filter(([other]) => overlap(use, other)).map(([, look]) => look);
    return looks.find(({ isLate }) => isLate) ?? looks[0];
  }

  async #untilUnclaimed(disk: string): Promise<void> {
    for (let look = 0; look < 50; look += 1) {
      try {
        await withNode(disk, ({ fd }) => this.#media.run('openExclusively', {}, [fd]));
        return;
      } catch (error) {
        // The host has taken it away.
        if (hasCode(error, 'ENOENT', 'ENXIO')) return;
        if (!hasCode(error, 'EBUSY')) throw error;
      }
      await delay(20);
    }
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

/** A device node that is open, so that it is the same one each time; `named` is for messages. */
type OpenNode = Pick<HeldDisk, 'named' | 'fd' | 'number'>;

/** Runs a task with a device node that is open meanwhile. @throws GuestError `invalid`: not a block device */
async function withNode<T>(disk: string, task: (node: OpenNode) => Promise<T>): Promise<T> {
  const node = openNode(disk);
  try {
    return await task(node);
  } finally {
    closeSync(node.fd);
  }
}

/** Opens a device node; the caller closes it. @throws GuestError `invalid`: not a block device */
function openNode(disk: string): OpenNode {
  // The node, which is in the guest's memory (devtmpfs): neither its open nor its close reaches the device, and the host.
  const fd = openSync(disk, Open.Path | Open.NoFollow);
  try {
    const stat = fstatSync(fd, { bigint: true });
    if (!stat.isBlockDevice()) throw new GuestError('invalid', `${disk} is not a block device`);
    return { named: disk, fd, number: deviceNumber(stat.rdev) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Releases a use after a look that failed: at once, or, if its thread still waits for the host, when that has ended, since its open
 * claims the disk then. Reports whether it waits.
 */
function afterLook(error: unknown, release: () => void): boolean {
  const ended = lateEnd(error);
  if (ended === undefined) release();
  else void ended.then(release);
  return ended !== undefined;
}

function stillLooking(disk: string): GuestError {
  return new GuestError(
    'exhausted',
    `an earlier call that opens the disk ${disk} still waits for the host; help: look at what serves the disk on the host`,
  );
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
