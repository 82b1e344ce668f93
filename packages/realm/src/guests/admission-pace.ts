import { rationed } from '../serve/rationed.js';

/** What one guest may do: an agent dials again ever more slowly. */
const ofGuest = { burst: 10, perSecond: 1 / 30 };
/** What all guests of an entry may: a guest can come with a new key each time. Once, all guests that there can be come again. */
const ofEntry = { burst: 8_192, perSecond: 10 };

/** Guests that are remembered, the last ones. */
const mostGuests = 8_192;

/**
 * Limits how often guests are admitted. Each admission is in the realm's own log, durably and for itself: guests that connect
 * again and again would have it rotate, after which only a selection of admissions, and none of operators' requests, is left.
 */
export class AdmissionPace {
  readonly #guests = new Map<string, () => number | undefined>();
  readonly #entries = new Map<string, () => number | undefined>();

  /** Reports whether a guest of an entry may be admitted now. */
  allows(id: string, entry: string): boolean {
    const guest = this.#guests.get(id) ?? rationed(ofGuest.burst, ofGuest.perSecond);
    this.#guests.delete(id);
    this.#guests.set(id, guest);
    const [oldest] = this.#guests.keys();
    if (this.#guests.size > mostGuests && oldest !== undefined) this.#guests.delete(oldest);
    if (guest() === undefined) return false;
    const all = this.#entries.get(entry) ?? rationed(ofEntry.burst, ofEntry.perSecond);
    this.#entries.set(entry, all);
    return all() !== undefined;
  }
}
