import { GuestError } from '../guest-error.js';
import type { GuestLog } from '../guest-options.js';
import type { DeviceWatch } from './device-watch.js';
import type { Wanted } from './find-device.js';

/** Whose change it is that waits. */
export interface Waiter {
  /** The container that is to be made. */
  readonly container?: string | undefined;
  /** Of the call; absent: nobody gives it up. */
  readonly signal?: AbortSignal | undefined;
}

interface Wait {
  readonly container: string | undefined;
  readonly giveUp: (why: string) => void;
}

/**
 * The changes that wait for devices, or for a mount of another container. They do so before their turn, in which nothing
 * waits any more: a disk that never comes holds up nobody else, and who waits for it has made nothing yet that would have to
 * be taken back.
 */
export class DeviceWaits {
  readonly #watch: DeviceWatch;
  readonly #log: GuestLog;
  readonly #waits: Set<Wait> = new Set();

  constructor(watch: DeviceWatch, log: GuestLog) {
    this.#watch = watch;
    this.#log = log;
  }

  /** A create of this container waits. */
  has(container: string): boolean {
    return this.#of(container).length > 0;
  }

  /** Waits for one after another, each with a time of its own. Rejects `precondition` when the wait is given up. */
  async forAll(wanted: readonly Wanted[], { container, signal }: Waiter): Promise<void> {
    const controller = new AbortController();
    let what = '';
    const giveUp = (why: string): void =>
      controller.abort(new GuestError('precondition', `${what} was waited for until ${why}`));
    const abandon = (): void => giveUp('its caller had no more time for it, or was gone');
    const wait = { container, giveUp };
    this.#waits.add(wait);
    signal?.addEventListener('abort', abandon);
    try {
      for (const device of wanted) {
        what = device.what;
        if (signal?.aborted === true) abandon();
        this.#log('info', `waits for ${what}`, container === undefined ? {} : { container });
        await this.#watch.waitFor(device, controller.signal);
      }
      controller.signal.throwIfAborted();
    } finally {
      signal?.removeEventListener('abort', abandon);
      this.#waits.delete(wait);
    }
  }

  /** Ends the waits, all or that of one container. Tells whether there was one. `why` completes `was waited for until …`. */
  giveUp(why: string, container?: string): boolean {
    const given = this.#of(container);
    for (const wait of given) wait.giveUp(why);
    return given.length > 0;
  }

  #of(container: string | undefined): readonly Wait[] {
    return [...this.#waits].filter((wait) => container === undefined || wait.container === container);
  }
}
