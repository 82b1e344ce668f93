export interface SemaphoreOptions {
  /** Ends the wait for a slot, not the task: `run` rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** The task precedes those that wait without this. */
  readonly isFirst?: boolean;
}

/**
 * Lets a number of tasks run at once; the others wait in order. The slot of a task that ends is the next one's, whatever is called
 * meanwhile. With one slot, tasks run one after another.
 */
export class Semaphore {
  #free: number;
  readonly #first = new Set<() => void>();
  readonly #others = new Set<() => void>();

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** Number of tasks that wait, without those that are first. */
  get waiting(): number {
    return this.#others.size;
  }

  /** Reports whether a further task would wait. */
  get isFull(): boolean {
    return this.#free === 0;
  }

  /** Runs a task as soon as there is a slot. Resolves and rejects as the task. */
  async run<T>(task: () => Promise<T>, { signal, isFirst = false }: SemaphoreOptions = {}): Promise<T> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await waitForSlot(isFirst ? this.#first : this.#others, signal);
    try {
      return await task();
    } finally {
      this.#release();
    }
  }

  #release(): void {
    const queue = this.#first.size > 0 ? this.#first : this.#others;
    const [next] = queue;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    queue.delete(next);
    next();
  }
}

function waitForSlot(queue: Set<() => void>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const begin = (): void => {
      signal?.removeEventListener('abort', abort);
      resolve();
    };
    const abort = (): void => {
      queue.delete(begin);
      reject(signal?.reason as Error);
    };
    queue.add(begin);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
