import { statSync } from 'node:fs';
import { At, Descriptor, Open, type Syscalls } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';
import { type DeviceNumber, deviceNumber } from './device-number.js';

/**
 * An open disk. While it is open, the kernel gives its number to no other disk: one that the host attaches in its place, or a
 * node that replaces its own, is not used.
 */
export class HeldDisk {
  readonly #descriptor: Descriptor;
  readonly number: DeviceNumber;
  /** For messages. */
  readonly named: string;

  private constructor(descriptor: Descriptor, number: DeviceNumber, named: string) {
    this.#descriptor = descriptor;
    this.number = number;
    this.named = named;
  }

  /** @throws GuestError `invalid`: it is no disk */
  static open(syscalls: Syscalls, path: string): HeldDisk {
    const flags = Open.ReadOnly | Open.NoFollow | Open.NonBlock | Open.CloseOnExec;
    const descriptor = new Descriptor(syscalls, syscalls.openat(At.Cwd, path, flags));
    try {
      const stat = statSync(`/proc/self/fd/${descriptor.fd}`, { bigint: true });
      if (!stat.isBlockDevice()) throw new GuestError('invalid', `${path} is not a block device`);
      return new HeldDisk(descriptor, deviceNumber(stat.rdev), path);
    } catch (error) {
      descriptor.close();
      throw error;
    }
  }

  /** Valid until `close`. */
  get path(): string {
    return `/proc/self/fd/${this.#descriptor.fd}`;
  }

  close(): void {
    this.#descriptor.close();
  }
}
