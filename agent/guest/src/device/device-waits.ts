import { GuestError } from '../error/guest-error.js';
import type { GuestLog } from '../guest-log.js';
import type { DeviceWatch } from './device-watch.js';
import type { Wanted } from './find-device.js';

/** A change that waits. */
export interface Waiter {
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
