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
  #running = 0;
  readonly #waiting = new Set<() => void>();
  /** Of pulls that had their turn. There are no more than run at once: each that ends lets one of these continue. */
  readonly #resuming = new Set<() => void>();

  constructor(limits: PullQueueLimits = limitsByDefault) {
    this.#limits = limits;
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
    if (this.#running >= this.#limits.atOnce && this.#waiting.size >= this.#limits.waiting)
      throw refusal(this.#limits);
    return await this.#run(work, this.#waiting, signal);
  }

  /** Runs further work for a pull that had its turn, before those that wait for theirs: its image is in memory. */
  async resume<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return await this.#run(work, this.#resuming, signal);
  }

  async #run<T>(work: () => Promise<T>, queue: Set<() => void>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#running < this.#limits.atOnce) this.#running += 1;
    else await waitForSlot(queue, signal);
    try {
      return await work();
    } finally {
      this.#end();
    }
  }

  /** The next pull takes the place of the one that ended, so that no later one comes in between. */
  #end(): void {
    const queue = this.#resuming.size > 0 ? this.#resuming : this.#waiting;
    const [next] = queue;
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    queue.delete(next);
    next();
  }
}

function waitForSlot(queue: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const begin = (): void => {
      signal.removeEventListener('abort', abort);
      resolve();
    };
    const abort = (): void => {
      queue.delete(begin);
      reject(signal.reason as Error);
    };
    queue.add(begin);
    signal.addEventListener('abort', abort, { once: true });
  });
}
