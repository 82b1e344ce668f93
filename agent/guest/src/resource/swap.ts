import { lstatSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';
import type { Disks } from '../device/disks.js';
import type { HostMedia } from '../media/host-media.js';
import { GuestError } from '../guest-error.js';
import { quotedPath } from '../quoted.js';

declare module '../media/host-media.js' {
  interface MediaTasks {
    readonly swapOn: (args: { readonly path: string }) => { readonly path: string };
    readonly swapOff: (args: { readonly path: string }) => void;
  }
}

/** Secrets of a guest: those that it unseals, or the keys of the disks on which it stores images. */
export type GuestSecrets = keyof typeof reasons;

const reasons = {
  sealed: { what: 'unseals secrets', setting: 'guest_components_procs = "none"' },
  'keys of disks': { what: 'has the keys of encrypted disks in memory', setting: 'store = "memory"' },
} as const;

/** The block devices that the agent has added as swap. */
export class SwapDevices {
  readonly #media: HostMedia;
  readonly #disks: Disks;
  readonly #secrets: GuestSecrets | undefined;
  /** Paths of the devices; each value releases the disk. */
  readonly #used: Map<string, () => void> = new Map();

  /** `secrets`: those in memory, which swap would write to a disk of the host. */
  constructor(media: HostMedia, disks: Disks, secrets: GuestSecrets | undefined) {
    this.#media = media;
    this.#disks = disks;
    this.#secrets = secrets;
  }

  /** Adds a block device as swap. Refuses files and symbolic links: the host may name only devices, not files of the guest. */
  async add(path: string): Promise<void> {
    if (this.#secrets !== undefined) {
      const { what, setting } = reasons[this.#secrets];
      throw new GuestError(
        'refused',
        `swap ${quotedPath(path)} is refused: this guest ${what}, and the host could read them on the disk; help: boot it with more memory, or with ${setting}`,
      );
    }
    if (!isBlockDevice(path))
      throw new GuestError('invalid', `swap ${quotedPath(path)} is not a block device below /dev`);
    if (this.#used.has(path)) throw new GuestError('exists', `${path} is already in use as swap`);
    const release = await this.#disks.take(path);
    try {
      await this.#media.run('swapOn', { path });
    } catch (error) {
      release();
      if (!hasCode(error, 'EINVAL')) throw error;
      throw new GuestError('invalid', `${path} has no swap area; help: run mkswap on the host`, {
        cause: error,
      });
    }
    this.#used.set(path, release);
  }

  /** Removes all swap devices; returns one failure for each that the kernel could not swap off, for lack of memory. */
  async release(): Promise<readonly Error[]> {
    const failures: Error[] = [];
    for (const [path, release] of this.#used) {
      try {
        await this.#media.run('swapOff', { path });
        this.#used.delete(path);
        release();
      } catch (error) {
        failures.push(new Error(`could not undo: swap ${path}`, { cause: error }));
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
