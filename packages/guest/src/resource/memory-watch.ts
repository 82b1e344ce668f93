import { join } from 'node:path';
import type { UeventListener, UeventReceiver } from '@kata-agent/linux';
import type { GuestLog } from '../guest-options.js';
import { bringMemoryOnline, switchOn } from './online.js';

export interface MemoryWatchOptions {
  /** `/sys`. */
  readonly sys: string;
  readonly listen: (to: UeventReceiver) => UeventListener;
  readonly log: GuestLog;
}

/**
 * Brings memory into use as the kernel tells of it. A host plugs and calls at once, while the kernel still adds one block
 * after the other: a look at what is there would find some of them (Kata 4.1, src/agent/src/uevent.rs).
 */
export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  #listener: UeventListener | undefined;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { listen, sys } = this.#options;
    if (this.#listener !== undefined) return;
    try {
      this.#listener = listen({
        event: ({ action, devicePath }) => {
          if (action !== 'add' || !/^\/devices\/system\/memory\/memory\d+$/.test(devicePath)) return;
          this.#orSay(() => switchOn(join(sys, devicePath, 'online')));
        },
        lost: () => this.#orSay(() => bringMemoryOnline(sys)),
        fault: (error) => this.#say(error),
      });
    } catch (error) {
      this.#say(error);
    }
  }

  stop(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  #orSay(deed: () => void): void {
    try {
      deed();
    } catch (error) {
      this.#say(error);
    }
  }

  #say(error: unknown): void {
    this.#options.log('warn', `plugged memory may not come into use by itself: ${String(error)}`);
  }
}
