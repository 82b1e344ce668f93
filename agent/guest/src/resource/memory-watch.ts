import { join } from 'node:path';
import type { UeventListener, UeventReceiver } from '@kata-agent/linux';
import type { GuestLog } from '../guest-log.js';
import type { HostMedia } from '../media/host-media.js';
import { bringMemoryOnline } from './online.js';

export interface MemoryWatchOptions {
  /** `/sys`. */
  readonly sys: string;
  readonly media: HostMedia;
  readonly listen: (to: UeventReceiver) => UeventListener;
  readonly log: GuestLog;
}

/**
 * Brings memory blocks online as their uevents arrive. The host calls OnlineCPUMem right after it has plugged memory, while
 * the kernel is still adding blocks: listing the blocks at that moment would miss some (Kata 4.1, src/agent/src/uevent.rs).
 */
export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  #listener: UeventListener | undefined;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { listen, media, sys } = this.#options;
    if (this.#listener !== undefined) return;
    try {
      this.#listener = listen({
        event: ({ action, devicePath }) => {
          if (action !== 'add' || !/^\/devices\/system\/memory\/memory\d+$/.test(devicePath)) return;
          this.#orWarn(media.run('switchOn', { file: join(sys, devicePath, 'online') }));
        },
        lost: () => this.#orWarn(bringMemoryOnline({ media, sys })),
        fault: (error) => this.#warn(error),
      });
    } catch (error) {
      this.#warn(error);
    }
  }

  stop(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  #orWarn(action: Promise<unknown>): void {
    action.catch((error: unknown) => this.#warn(error));
  }

  #warn(error: unknown): void {
    this.#options.log(
      'warn',
      `plugged memory may stay offline until the host calls OnlineCPUMem: ${String(error)}`,
    );
  }
}
