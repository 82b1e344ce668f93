import { listenUevents, type Syscalls, type Uevent, type UeventListener } from '@kata-agent/linux';
import type { GuestLog } from '../guest-log.js';
import type { HostMedia } from '../media/host-media.js';
import { untilAborted } from '../until-aborted.js';
import { GuestError } from '../guest-error.js';
import type { DeviceRoots, Wanted } from './find-device.js';

/** Polling interval: events can be lost, and a device's node appears after its event. */
const rescanMs = 100;

export interface DeviceWatchOptions {
  readonly roots: DeviceRoots;
  readonly media: HostMedia;
  readonly syscalls: Syscalls;
  readonly log: GuestLog;
  /** The setting `hotplug_timeout`. */
  readonly timeoutSeconds: number;
}

/**
 * Finds devices, and waits for those that are hot-plugged. /sys is authoritative; uevents only trigger a scan. Listens
 * only while a caller waits.
 */
export class DeviceWatch {
  readonly #options: DeviceWatchOptions;
  readonly #waiting: Set<() => void> = new Set();
  #listener: UeventListener | undefined;

  constructor(options: DeviceWatchOptions) {
    this.#options = options;
  }

  /** Finds a device or mount that is present. Throws `not-found`, or the error of `absent`. */
  find(wanted: Wanted): string {
    const found = wanted.find(this.#options.roots);
    if (found !== undefined) return found;
    throw wanted.absent?.() ?? new GuestError('not-found', `${wanted.what} does not exist`);
  }

  /** Reports whether it is present. */
  has({ find }: Wanted): boolean {
    return find(this.#options.roots) !== undefined;
  }

  /**
   * Resolves when it is found. Triggers a bus scan where the kernel needs one. Rejects after the time-out, and with the signal's reason
   * when aborted.
   */
  async waitFor({ what, find, prompt, seconds, absent }: Wanted, signal: AbortSignal): Promise<void> {
    const { roots, media } = this.#options;
    const timeoutSeconds = seconds ?? this.#options.timeoutSeconds;
    signal.throwIfAborted();
    if (find(roots) !== undefined) return;
    if (prompt !== undefined) await untilAborted(prompt(roots, media), signal);
    await new Promise<void>((resolve, reject) => {
      const timers: NodeJS.Timeout[] = [];
      const end = (): void => {
        for (const timer of timers) clearTimeout(timer);
        signal.removeEventListener('abort', stop);
        this.#waiting.delete(check);
        this.#listenWhileAwaited();
      };
      const check = (): void => {
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
      timers.push(setInterval(check, rescanMs), setTimeout(giveUp, timeoutSeconds * 1000));
      signal.addEventListener('abort', stop);
      this.#waiting.add(check);
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
    const checkAll = (): void => {
      // A check that succeeds removes itself, which iteration over a Set permits.
      for (const check of this.#waiting) check();
    };
    try {
      return listenUevents(syscalls, {
        event: ({ action }: Uevent) => {
          if (action === 'add' || action === 'change' || action === 'bind') checkAll();
        },
        lost: checkAll,
        fault: (error) =>
          log('warn', `uevents are not available, so devices are found by polling: ${error.message}`),
      });
    } catch (error) {
      log('warn', `uevents are not available, so devices are found by polling: ${(error as Error).message}`);
      return { close: () => undefined };
    }
  }
}

/** A change that waits. */
interface Waiter {
  /** The container that is being created. */
  readonly container?: string | undefined;
  /** The call's signal; absent: the wait cannot be cancelled. */
  readonly signal?: AbortSignal | undefined;
}

interface Wait {
  readonly container: string | undefined;
  readonly cancel: (reason: string) => void;
}

/**
 * Changes that wait for devices, or for a mount of another container. They wait before they are queued, so that a disk
 * that never appears blocks no other change, and nothing has to be rolled back.
 */
export class DeviceWaits {
  readonly #watch: DeviceWatch;
  readonly #log: GuestLog;
  readonly #waits: Set<Wait> = new Set();

  constructor(watch: DeviceWatch, log: GuestLog) {
    this.#watch = watch;
    this.#log = log;
  }

  /** Reports whether a create of this container waits. */
  has(container: string): boolean {
    return this.#of(container).length > 0;
  }

  /**
   * Waits for all, one after another, each with its own time-out. Rejects with `precondition` if the wait is cancelled.
   */
  async forAll(wanted: readonly Wanted[], { container, signal }: Waiter): Promise<void> {
    const controller = new AbortController();
    let what = '';
    const cancel = (reason: string): void =>
      controller.abort(new GuestError('precondition', `the wait for ${what} was cancelled: ${reason}`));
    const abandon = (): void => cancel('the call was cancelled or its deadline passed');
    const wait = { container, cancel };
    this.#waits.add(wait);
    signal?.addEventListener('abort', abandon);
    try {
      for (const device of wanted) {
        what = device.what;
        if (signal?.aborted === true) abandon();
        this.#log('info', `waiting for ${what}`, container === undefined ? {} : { container });
        await this.#watch.waitFor(device, controller.signal);
      }
      controller.signal.throwIfAborted();
    } finally {
      signal?.removeEventListener('abort', abandon);
      this.#waits.delete(wait);
    }
  }

  /**
   * Cancels all waits, or those of one container. Reports whether there were any. `reason`: for the error, after
   * `was cancelled: `.
   */
  giveUp(reason: string, container?: string): boolean {
    const found = this.#of(container);
    for (const wait of found) wait.cancel(reason);
    return found.length > 0;
  }

  #of(container: string | undefined): readonly Wait[] {
    return [...this.#waits].filter((wait) => container === undefined || wait.container === container);
  }
}
