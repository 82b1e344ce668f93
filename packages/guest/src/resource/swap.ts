import { lstatSync } from 'node:fs';
import { hasCode, type Syscalls } from '@kata-agent/linux';
import type { Disks } from '../device/disks.js';
import { GuestError } from '../guest-error.js';

/** Block devices that the guest swaps to, so that they can be given back. */
export class SwapDevices {
  readonly #syscalls: Syscalls;
  readonly #disks: Disks;
  /** Each with what gives its disk back. */
  readonly #used: Map<string, () => void> = new Map();

  constructor(syscalls: Syscalls, disks: Disks) {
    this.#syscalls = syscalls;
    this.#disks = disks;
  }

  /** Swaps to a block device. A file or a link is refused: the host names a device, and nothing of the guest's own. */
  add(path: string): void {
    if (!isBlockDevice(path))
      throw new GuestError(
        'invalid',
        `swap ${JSON.stringify(path.slice(0, 150))} is not a block device below /dev`,
      );
    if (this.#used.has(path)) throw new GuestError('exists', `the guest swaps to ${path} already`);
    const release = this.#disks.take(path);
    try {
      this.#syscalls.swapon(path);
    } catch (error) {
      release();
      if (!hasCode(error, 'EINVAL')) throw error;
      throw new GuestError('invalid', `${path} holds no swap area; the host makes one with mkswap`, {
        cause: error,
      });
    }
    this.#used.set(path, release);
  }

  /** Gives all of them back; the failures, one for each that memory has no room for. */
  release(): readonly Error[] {
    const failures: Error[] = [];
    for (const [path, release] of this.#used) {
      try {
        this.#syscalls.swapoff(path);
        this.#used.delete(path);
        release();
      } catch (error) {
        failures.push(new Error(`could not take back: swap ${path}`, { cause: error }));
      }
    }
    return failures;
  }
}

function isBlockDevice(path: string): boolean {
  if (!/^\/dev\/[A-Za-z0-9_.\-/]+$/.test(path) || path.split('/').includes('..')) return false;
  try {
    return lstatSync(path).isBlockDevice();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return false;
    throw error;
  }
}
