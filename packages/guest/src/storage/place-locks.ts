/** How a lock is asked for. */
interface LockOptions {
  /** By who has one already, for what that needs: of all others, only one of the very same place keeps it waiting. */
  readonly nested?: boolean;
}

interface Lock {
  readonly place: string;
  readonly nested: boolean;
  readonly grant: () => void;
}

/**
 * Lets one at a time work at a place, and at what lies above or below it, in the order in which they ask. Containers are made
 * beside each other, and may name the same storages: while one mounts a storage, or takes it back, another neither uses nor
 * makes it.
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
