import { lstatSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, type MountPoint, mounts } from '@kata-agent/linux';
import { type DataHub, encryptDisk } from '../../confidential/data-hub.js';
import { refuseSwap } from '../../confidential/refuse-swap.js';
import type { DeviceWatch } from '../../device/device-watch.js';
import type { Disks } from '../../device/disks.js';
import type { GuestLog } from '../../guest-log.js';
import type { HostMedia } from '../../media/host-media.js';
import type { GuestPaths } from '../../paths/guest-paths.js';
import type { HeldDisk } from '../../device/held-disk.js';
import { GuestError } from '../../guest-error.js';
import { untilAborted } from '../../until-aborted.js';
import type { ImageStore, SharedStoreUse, StoreRequest } from '../image-puller.js';
import { openScratch } from './scratch-disk.js';

/** dm-crypt is on dm-integrity, and that on the disk. */
const maxLevels = 4;

interface StoreContext {
  readonly media: HostMedia;
  readonly paths: GuestPaths;
  readonly log: GuestLog;
  readonly devices: DeviceWatch;
  readonly disks: Disks;
  /** Undefined: there is none. */
  readonly dataHub: DataHub | undefined;
}

/** The disk that is mounted. */
interface Claim {
  readonly disk: string;
  readonly release: () => void;
}

/** Below Kata's directory, as in Kata's agent (`KATA_IMAGE_WORK_DIR`). No container can have this id. */
const directoryName = 'image';

/** As Kata's agent (4.1, src/agent/src/rpc.rs, `cdh_handler_trusted_storage`). */
const makeOptions = '-E lazy_journal_init';

/**
 * The disk for all images that the data hub pulls: it encrypts the disk and mounts it where it keeps images, once, when the first
 * container brings one. It stays mounted until the guest ends. What is mounted, the kernel knows, also after this process has ended; so
 * nothing about it is in the agent's state.
 */
export class SharedStore implements ImageStore {
  readonly #context: StoreContext;
  readonly #use: SharedStoreUse;
  /** Absolute, without a slash at the end. */
  readonly #path: string;
  #claim: Claim | undefined;
  #mounting: Promise<void> | undefined;

  constructor(context: StoreContext, use: SharedStoreUse) {
    this.#context = context;
    this.#use = use;
    this.#path = join(context.paths.kata, directoryName);
  }

  async prepare({ scratch, container, signal }: StoreRequest): Promise<void> {
    while (this.#mounting !== undefined)
      await untilAborted(
        this.#mounting.catch(() => undefined),
        signal,
      );
    const mounted = this.#mounted();
    if (scratch === undefined && (mounted !== undefined || this.#use === 'if-attached')) return;
    const disk = await openScratch(scratch, container, this.#context);
    try {
      if (mounted === undefined) await this.#mountOnce(disk, signal);
      else this.#refuseAnother(disk, mounted, container);
    } finally {
      await disk.close();
    }
  }

  async warnIfUnused(container: string): Promise<void> {
    if (this.#mounted() === undefined) return;
    if (await this.#context.media.run('hasImages', { directory: this.#path })) return;
    this.#context.log(
      'warn',
      `the confidential data hub keeps nothing on the disk for images; help: write work_dir = "${this.#path}/" in [image] of its cdh.toml`,
      { container },
    );
  }

  #mounted(): MountPoint | undefined {
    return mounts().findLast(({ target }) => target === this.#path);
  }

  async #mountOnce(disk: HeldDisk, signal: AbortSignal): Promise<void> {
    this.#mounting = this.#mount(disk, signal);
    try {
      await this.#mounting;
    } finally {
      this.#mounting = undefined;
    }
  }

  async #mount(disk: HeldDisk, signal: AbortSignal): Promise<void> {
    const { paths, disks, dataHub, log } = this.#context;
    this.#claim?.release();
    this.#claim = undefined;
    refuseSwap(paths.proc, 'the disk for images is not mounted');
    const release = await disks.takeHeld(disk);
    try {
      this.#makeDirectory();
      // Written as by Kata's agent.
      const mountPoint = `${this.#path}/`;
      await encryptDisk({ number: disk.number, makeOptions, mountPoint, use: 'images' }, dataHub, signal);
    } catch (error) {
      release();
      this.#removeDirectory();
      throw error;
    }
    this.#claim = { disk: numberOf(disk), release };
    log('info', 'the disk for images is mounted', { disk: disk.named });
  }

  /** The data hub resolves the path by itself: no link is followed. */
  #makeDirectory(): void {
    try {
      mkdirSync(this.#path, { mode: 0o700 });
    } catch (error) {
      if (!hasCode(error, 'EEXIST') || !lstatSync(this.#path).isDirectory()) throw error;
    }
  }

  #removeDirectory(): void {
    try {
      rmdirSync(this.#path);
    } catch (error) {
      // The data hub was late, or keeps something there.
      if (!hasCode(error, 'EBUSY', 'ENOTEMPTY', 'ENOENT')) throw error;
    }
  }

  /** A container that is created again brings the same disk, also if an earlier agent has mounted it. */
  #refuseAnother(disk: HeldDisk, { device }: MountPoint, container: string): void {
    const number = numberOf(disk);
    if (number === this.#claim?.disk || isOnDisk(device, number, this.#context.paths.sys)) return;
    throw new GuestError(
      'refused',
      `container ${container}: the disk ${disk.named} is another one than that on which the data hub keeps all images; help: give one container of the pod the volume for images`,
    );
  }
}

function numberOf({ number }: HeldDisk): string {
  return `${number.major}:${number.minor}`;
}

/**
 * Reports whether a block device is a disk, or a mapped device that is on it, directly or through others. Both are `MAJOR:MINOR`.
 *
 * @param sys `/sys`
 */
export function isOnDisk(device: string, disk: string, sys: string, levels: number = maxLevels): boolean {
  if (device === disk) return true;
  if (levels === 0) return false;
  const below = join(sys, 'dev/block', device, 'slaves');
  try {
    return readdirSync(below).some((name) =>
      isOnDisk(readFileSync(join(below, name, 'dev'), 'utf8').trim(), disk, sys, levels - 1),
    );
  } catch (error) {
    // A partition, or the device of a file system that has no disk.
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
