import { listenUevents, type Syscalls, type Uevent, type UeventListener } from '@kata-agent/linux';
import type { GuestLog } from '../guest-options.js';
import { GuestError } from '../guest-error.js';
import type { DeviceRoots, Find } from './find-device.js';

/** Events can be lost, and a device's node comes after its event: it is looked for again so often. */
const rescanMs = 100;

export interface DeviceWatchOptions {
  readonly roots: DeviceRoots;
  readonly syscalls: Syscalls;
  readonly log: GuestLog;
  /** The setting `hotplug_timeout`. */
  readonly timeoutSeconds: number;
}

/**
 * Waits for devices that the host plugs. What counts is what /sys shows; the kernel's events only tell when to look.
 * It listens while somebody waits.
 */
export class DeviceWatch {
  readonly #options: DeviceWatchOptions;
  readonly #waiting: Set<() => void> = new Set();
  #listener: UeventListener | undefined;

  constructor(options: DeviceWatchOptions) {
    this.#options = options;
  }

  /** What `find` finds, now or within the time for it. `what` names it for the error: `a disk at PCI path 02/01`. */
  async waitFor(what: string, find: Find): Promise<string> {
    const { roots, timeoutSeconds } = this.#options;
    const found = find(roots);
    if (found !== undefined) return found;
    return new Promise((resolve, reject) => {
      const timers: NodeJS.Timeout[] = [];
      const end = (): void => {
        for (const timer of timers) clearTimeout(timer);
        this.#waiting.delete(look);
        this.#listenWhileAwaited();
      };
      const look = (): void => {
        try {
          const path = find(roots);
          if (path === undefined) return;
          end();
          resolve(path);
        } catch (error) {
          end();
          reject(error);
        }
      };
      const giveUp = (): void => {
        end();
        const message = `${what} did not appear within ${timeoutSeconds} seconds (hotplug_timeout)`;
        reject(new GuestError('not-found', message));
      };
      timers.push(setInterval(look, rescanMs), setTimeout(giveUp, timeoutSeconds * 1000));
      this.#waiting.add(look);
      this.#listenWhileAwaited();
    });
  }

  #listenWhileAwaited(): void {
    if (this.#waiting.size === 0) {
      this.#listener?.close();
      this.#listener = undefined;
    } else {
      this.#listener ??= this.#listen();
    }
  }

  #listen(): UeventListener {
    const { syscalls, log } = this.#options;
    const lookAgain = (): void => {
      // A look that finds what it waited for leaves the set, which a set's own iteration takes well.
      for (const look of this.#waiting) look();
    };
    try {
      return listenUevents(syscalls, {
        event: ({ action }: Uevent) => {
          if (action === 'add' || action === 'change' || action === 'bind') lookAgain();
        },
        lost: lookAgain,
        fault: (error) => log('warn', `devices are only looked for from time to time: ${error.message}`),
      });
    } catch (error) {
      log('warn', `devices are only looked for from time to time: ${(error as Error).message}`);
      return { close: () => undefined };
    }
  }
}
