import type { Syscalls } from '@kata-agent/linux';

const idleMs = 1_000;

/**
 * Returns the memory of what was removed to the kernel, a second after the last of several removals. malloc keeps it otherwise: after
 * 200 streams of 16 MiB the agent had 371 MiB, and 154 with it.
 */
export class FreedMemory {
  readonly #syscalls: Pick<Syscalls, 'releaseFreedMemory'>;
  #timer: NodeJS.Timeout | undefined;

  constructor(syscalls: Pick<Syscalls, 'releaseFreedMemory'>) {
    this.#syscalls = syscalls;
  }

  releaseSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#syscalls.releaseFreedMemory(), idleMs);
    this.#timer.unref();
  }
}
