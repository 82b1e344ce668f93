import { listenUevents, type Syscalls, type Uevent, type UeventListener } from '@kata-agent/linux';
import type { GuestLog } from '../guest-options.js';
import { GuestError } from '../guest-error.js';
import type { DeviceRoots, Wanted } from './find-device.js';

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
 * Finds devices, and waits for those that the host plugs. What counts is what /sys shows; the kernel's events only tell when
 * to look. It listens while somebody waits.
 */
export class DeviceWatch {
  readonly #options: DeviceWatchOptions;
  readonly #waiting: Set<() => void> = new Set();
  #listener: UeventListener | undefined;

  constructor(options: DeviceWatchOptions) {
    this.#options = options;
  }

  /** What is found now. Throws `not-found`. */
  find(wanted: Wanted): string {
    const found = wanted.find(this.#options.roots);
    if (found !== undefined) return found;
    throw wanted.absent?.() ?? new GuestError('not-found', `${wanted.what} is not there`);
  }

  /** Whether it is there. Where the kernel has to be told to look for it, it is. */
  has({ find, prompt }: Wanted): boolean {
    const { roots } = this.#options;
    prompt?.(roots);
    return find(roots) !== undefined;
  }

  /** Resolves when it is found. Rejects when the time for it is over, and with the signal's reason when aborted. */
  async waitFor({ what, find, seconds, absent }: Wanted, signal: AbortSignal): Promise<void> {
    const { roots } = this.#options;
    const timeoutSeconds = seconds ?? this.#options.timeoutSeconds;
    signal.throwIfAborted();
    if (find(roots) !== undefined) return;
    await new Promise<void>((resolve, reject) => {
      const timers: NodeJS.Timeout[] = [];
      const end = (): void => {
        for (const timer of timers) clearTimeout(timer);
        signal.removeEventListener('abort', stop);
        this.#waiting.delete(look);
        this.#listenWhileAwaited();
      };
      const look = (): void => {
        try {
          if (find(roots) === undefined) return;
          end();
          resolve();
        } catch (error) {
          end();
          reject(error);
        }
      };
      const giveUp = (): void => {
        end();
        const message = `${what} did not appear within ${timeoutSeconds} seconds (hotplug_timeout)`;
        reject(absent?.() ?? new GuestError('not-found', message));
      };
      const stop = (): void => {
        end();
        reject(signal.reason as Error);
      };
      timers.push(setInterval(look, rescanMs), setTimeout(giveUp, timeoutSeconds * 1000));
      signal.addEventListener('abort', stop);
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
