import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  At,
  createMappedDevice,
  cryptTarget,
  Open,
  removeMappedDevice,
  type Syscalls,
} from '@kata-agent/linux';
import type { DeviceNumber } from '../../device/device-number.js';

declare module '../../media/host-media.js' {
  interface MediaTasks {
    readonly openCrypt: (args: CryptDevice) => OpenedCrypt;
  }
}

/** A dm-crypt device to create. */
export interface CryptDevice {
  /** Path of the device mapper's control node. */
  readonly control: string;
  readonly name: string;
  readonly disk: DeviceNumber;
  /** Bytes. */
  readonly size: number;
  /** The directory of its node. */
  readonly dev: string;
}

/** A device that the kernel removes when the descriptor is closed, which the receiver owns: also if this process ends. */
export interface OpenedCrypt {
  /** Path. */
  readonly node: string;
  readonly fd: number;
}

/** Two keys of AES-256. */
const keySize = 64;

/** Creates and opens a device that encrypts with a key that nobody has. */
export function openCrypt({ control, name, disk, size, dev }: CryptDevice, syscalls: Syscalls): OpenedCrypt {
  const key = randomBytes(keySize);
  try {
    const table = cryptTarget({ disk: `${disk.major}:${disk.minor}`, size, key });
    const node = join(dev, createMappedDevice(syscalls, control, name, table));
    try {
      return { node, fd: syscalls.openat(At.Cwd, node, Open.ReadWrite | Open.CloseOnExec) };
    } finally {
      // While it is open, this leaves its removal to its last user.
      removeMappedDevice(syscalls, control, name);
    }
  } finally {
    key.fill(0);
  }
}

declare module '../../media/host-media.js' {
  interface MediaTasks {
    /** Reports whether the disk that is mounted at a directory has images. */
    readonly hasImages: (args: { readonly directory: string }) => boolean;
  }
}

/** Reports whether there is more on a disk than what making its file system left. */
export function hasImages(directory: string): boolean {
  return readdirSync(directory).some((name) => name !== 'lost+found');
}
