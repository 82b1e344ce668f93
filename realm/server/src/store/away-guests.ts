import type { CollectedLog } from './collected-log.js';
import type { DescribedGuest } from './log-storage.js';

/** What is known of a guest that is not connected here. */
export interface AwayGuest extends Pick<DescribedGuest, 'id' | 'name' | 'connectedAt'> {
  readonly log: CollectedLog;
  /** Of its newest log; undefined: it has none. */
  readonly path: string | undefined;
}

/**
 * Of about 600 bytes each. Guests have a new key with each boot, and a guest that is accepted with any configuration can come with new ones
 * without end, so that memory must not grow with them. The store has those that are forgotten.
 */
const defaultMost = 16_384;

/** Guests that have been connected, those that left last. */
export class AwayGuests {
  readonly #max: number;
  /** The one that left first is first. */
  readonly #guests = new Map<string, AwayGuest>();

  constructor(max: number = defaultMost) {
    this.#max = max;
  }

  /** The number of guests that are remembered at most. */
  get max(): number {
    return this.#max;
  }

  get(id: string): AwayGuest | undefined {
    return this.#guests.get(id);
  }

  all(): Iterable<AwayGuest> {
    return this.#guests.values();
  }

  /** Adds a guest that has just left, or that was asked for. */
  add(guest: AwayGuest): void {
    this.#guests.delete(guest.id);
    this.#guests.set(guest.id, guest);
    const [first] = this.#guests.keys();
    if (this.#guests.size > this.#max && first !== undefined) this.#guests.delete(first);
  }
}
