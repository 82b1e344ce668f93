/** Options of a lock request. */
interface LockOptions {
  /** The caller holds a lock already, and needs this one for it: it waits only for a holder of the very same path. */
  readonly nested?: boolean;
}

interface Lock {
  readonly place: string;
  readonly nested: boolean;
  readonly grant: () => void;
}

/**
 * Locks paths: one holder at a time for a path and all paths above or below it, in the order of requests. Containers
 * are created concurrently, and may name the same storages: while one mounts or unmounts a storage, another neither
 * uses nor mounts it.
 */
export class PlaceLocks {
  readonly #held: Set<Lock> = new Set();
  #waiting: readonly Lock[] = [];

  async during<T>(place: string, task: () => Promise<T>, { nested = false }: LockOptions = {}): Promise<T> {
    const lock = await this.#acquire(place, nested);
    try {
      return await task();
    } finally {
      this.#held.delete(lock);
      this.#grant();
    }
  }

  #acquire(place: string, nested: boolean): Promise<Lock> {
    return new Promise((resolve) => {
      const lock: Lock = { place, nested, grant: () => resolve(lock) };
      this.#waiting = [...this.#waiting, lock];
      this.#grant();
    });
  }

  #grant(): void {
    const waiting: Lock[] = [];
    for (const lock of this.#waiting) {
      const before = lock.nested ? [...this.#held] : [...this.#held, ...waiting];
      if (before.some((each) => keepsWaiting(each, lock))) waiting.push(lock);
      else {
        this.#held.add(lock);
        lock.grant();
      }
    }
    this.#waiting = waiting;
  }
}

function keepsWaiting(earlier: Lock, later: Lock): boolean {
  if (earlier.place === later.place) return true;
  if (later.nested) return false;
  return earlier.place.startsWith(`${later.place}/`) || later.place.startsWith(`${earlier.place}/`);
}
