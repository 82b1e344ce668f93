import { setTimeout as delay } from 'node:timers/promises';
import type { GuestLog } from '../guest-log.js';
import { GuestError } from '../guest-error.js';
import type { HostMedia } from '../media/host-media.js';
import type { OpenedDisk } from './disk-calls.js';
import type { DeviceNumber } from './device-number.js';

interface HeldDiskContext {
  readonly media: HostMedia;
  readonly log: GuestLog;
}

/** Interval at which a disk is tried to be closed while too many other calls wait for the host. */
const retryMs = 500;

/**
 * An open disk. While it is open, the kernel gives its number to no other disk: one that the host attaches in its place, or a
 * node that replaces its own, is not used. The host can delay its open and its close, so that threads make these calls.
 */
export class HeldDisk {
  readonly #context: HeldDiskContext;
  /** Undefined: closed. */
  #fd: number | undefined;
  readonly number: DeviceNumber;
  /** For messages. */
  readonly named: string;

  private constructor(fd: number, number: DeviceNumber, named: string, context: HeldDiskContext) {
    this.#fd = fd;
    this.number = number;
    this.named = named;
    this.#context = context;
  }

  /** @throws GuestError `invalid`: it is not a disk; `deadline`: the host does not answer */
  static async open(path: string, context: HeldDiskContext): Promise<HeldDisk> {
    return HeldDisk.of(await context.media.run('openDisk', { path }), path, context);
  }

  /** Returns a disk that is open, whose descriptor it takes over. */
  static of({ fd, major, minor }: OpenedDisk, named: string, context: HeldDiskContext): HeldDisk {
    return new HeldDisk(fd, { major, minor }, named, context);
  }

  /** Valid until `close`. */
  get fd(): number {
    if (this.#fd === undefined) throw new Error(`${this.named} is closed`);
    return this.#fd;
  }

  /**
   * Closes it. Does not fail: nothing rests on the end of the call, which a thread makes however long it takes. Does not wait until a
   * thread is free for it if too many calls wait for the host.
   */
  async close(): Promise<void> {
    const fd = this.#fd;
    if (fd === undefined) return;
    this.#fd = undefined;
    if (await this.#closed(fd)) return;
    void (async () => {
      do await delay(retryMs, undefined, { ref: false });
      while (!(await this.#closed(fd)));
    })();
  }

  /** Reports whether a thread has made the call, or was left to it. */
  async #closed(fd: number): Promise<boolean> {
    const { media, log } = this.#context;
    try {
      await media.run('closeDisk', { fd });
    } catch (error) {
      if (error instanceof GuestError && error.kind === 'exhausted') return false;
      log('warn', `closing ${this.named}: ${String(error)}`);
    }
    return true;
  }
}
