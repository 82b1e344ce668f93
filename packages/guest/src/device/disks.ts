import { closeSync, existsSync, lstatSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode, Open } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { type DeviceNumber, deviceNumber } from './device-number.js';

interface Use {
  readonly number: string;
  /** Of the disk that it is a partition of; else its own. */
  readonly whole: string;
  /** The container that has it as a device; undefined: the guest has it for itself. */
  readonly container: string | undefined;
}

/**
 * The disks in use, for devices, storages and swap alike (S11). The kernel knows what is mounted, swapped to or part of another
 * device, but not which disks containers have as devices: those are counted here. Containers may have the same disk as a
 * device; what the guest mounts or swaps to is nobody else's, since who has the disk reads and writes what is mounted.
 */
export class Disks {
  readonly #sys: string;
  readonly #uses: Set<Use> = new Set();

  /** `sys`: `/sys`. */
  constructor(sys: string) {
    this.#sys = sys;
  }

  /**
   * Counts a disk as a device of a container; `release` ends that.
   *
   * @param disk the path of its node.
   * @throws GuestError `invalid`: no block device; `refused`: the guest uses it.
   */
  attach(disk: string, container: string): DeviceNumber & { readonly release: () => void } {
    const number = numberOf(disk);
    const use = this.#use(number, container);
    if ([...this.#uses].some((other) => other.container === undefined && overlap(use, other)))
      throw inUse(disk);
    refuseClaimed(disk);
    return { ...number, release: this.#add(use) };
  }

  /** The same for a container that an earlier agent made. */
  attachAgain(number: DeviceNumber, container: string): () => void {
    return this.#add(this.#use(number, container));
  }

  /**
   * Takes a disk for the guest itself, to mount or to swap to; the result gives it back.
   *
   * @param disk the path of its node.
   * @throws GuestError `invalid`: no block device; `refused`: the guest uses it already, or a container has it.
   */
  take(disk: string): () => void {
    const use = this.#use(numberOf(disk), undefined);
    const other = [...this.#uses].find((each) => overlap(use, each));
    if (other?.container !== undefined)
      throw new GuestError(
        'refused',
        `the disk ${disk} is a device of container ${other.container}, which could read and change what is on it: remove that container first`,
      );
    if (other !== undefined) throw inUse(disk);
    refuseClaimed(disk);
    return this.#add(use);
  }

  #add(use: Use): () => void {
    this.#uses.add(use);
    return () => void this.#uses.delete(use);
  }

  #use({ major, minor }: DeviceNumber, container: string | undefined): Use {
    const number = `${major}:${minor}`;
    return { number, whole: this.#wholeOf(number), container };
  }

  #wholeOf(number: string): string {
    const directory = join(this.#sys, 'dev/block', number);
    if (!existsSync(join(directory, 'partition'))) return number;
    return readFileSync(join(realpathSync(directory), '../dev'), 'utf8').trim();
  }
}

/** The same disk, or a disk and a partition of it. */
function overlap(one: Use, other: Use): boolean {
  return one.number === other.number || one.whole === other.number || one.number === other.whole;
}

function numberOf(disk: string): DeviceNumber {
  const stat = lstatSync(disk, { bigint: true });
  if (!stat.isBlockDevice()) throw new GuestError('invalid', `${disk} is not a block device`);
  return deviceNumber(stat.rdev);
}

/**
 * The kernel claims what is mounted, swapped to or part of another device, and the whole disk of a partition that is; to such
 * a one O_EXCL gets EBUSY (block/bdev.c).
 */
function refuseClaimed(disk: string): void {
  try {
    closeSync(openSync(disk, Open.ReadOnly | Open.Exclusive | Open.NonBlock | Open.NoFollow));
  } catch (error) {
    throw hasCode(error, 'EBUSY') ? inUse(disk, error) : error;
  }
}

function inUse(disk: string, cause?: unknown): GuestError {
  return new GuestError(
    'refused',
    `the disk ${disk} is in use in the guest, and is not for the host to name`,
    {
      cause,
    },
  );
}
