import { Semaphore } from '@kata-agent/base';

export interface PullQueueLimits {
  readonly atOnce: number;
  readonly waiting: number;
}

/**
 * Two pulls use the network and the processors of a guest. Each has processes with up to 1 GiB of memory, and two file systems in
 * memory.
 */
const limitsByDefault: PullQueueLimits = { atOnce: 2, waiting: 16 };

/** Pulls a few images at once. Further pulls wait in the order of their calls, up to a number. */
export class PullQueue {
  readonly #limits: PullQueueLimits;
  readonly #pulls: Semaphore;

  constructor(limits: PullQueueLimits = limitsByDefault) {
    this.#limits = limits;
    this.#pulls = new Semaphore(limits.atOnce);
  }

  /**
   * Runs `work` when its turn has come. Rejects with the signal's reason if that aborts before, and with `refusal` if too many
   * wait.
   */
  async run<T>(
    work: () => Promise<T>,
    {
      signal,
      refusal,
    }: { readonly signal: AbortSignal; readonly refusal: (limits: PullQueueLimits) => Error },
  ): Promise<T> {
    if (this.#pulls.isFull && this.#pulls.waiting >= this.#limits.waiting) throw refusal(this.#limits);
    return await this.#pulls.run(work, { signal });
  }

  /** Runs further work for a pull that had its turn, before those that wait for theirs: its image is in memory. */
  async resume<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#pulls.run(work, { signal, isFirst: true });
  }
}
