import { rationed } from '../realm-log.js';

/** What one guest may do: an agent dials again ever more slowly. */
const ofGuest = { burst: 10, perSecond: 1 / 30 };
/** What the guests of an entry may together: a guest can come with a new key each time. Once, all guests that there can be come again. */
const ofEntry = { burst: 8_192, perSecond: 10 };
/** So long a guest is connected for one acceptance beside the pace of its entry. */
const earnedMs = 30_000;

/** Guests that are remembered, those that were accepted or have left last. */
const maxGuests = 8_192;

interface Known {
  readonly pace: () => number | undefined;
  /** It has one acceptance beside the pace of its entry. */
  readonly hasEarned: boolean;
}

/**
 * Limits how often guests are accepted. Each acceptance is in the realm's own log, durably and for itself: guests that connect
 * again and again would have it rotate, after which only a selection of acceptances, and none of operators' requests, is left. A guest
 * that was connected for long is not kept out by one that comes with new keys.
 */
export class AcceptanceRate {
  readonly #now: () => number;
  readonly #guests = new Map<string, Known>();
  readonly #entries = new Map<string, () => number | undefined>();

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Reports whether a guest of an entry may be accepted now. */
  allows(id: string, entry: string): boolean {
    const known = this.#guests.get(id);
    const pace = known?.pace ?? this.#rationed(ofGuest);
    if (pace() === undefined) return false;
    if (known?.hasEarned !== true) {
      const all = this.#entries.get(entry) ?? this.#rationed(ofEntry);
      this.#entries.set(entry, all);
      if (all() === undefined) return false;
    }
    this.#remember(id, { pace, hasEarned: false });
    return true;
  }

  /** Notes that a guest has left which was accepted for so long. */
  left(id: string, connectedMs: number): void {
    // One that is forgotten has not come for long: its pace is as at the beginning.
    const pace = this.#guests.get(id)?.pace ?? this.#rationed(ofGuest);
    this.#remember(id, { pace, hasEarned: connectedMs >= earnedMs });
  }

  #remember(id: string, known: Known): void {
    this.#guests.delete(id);
    this.#guests.set(id, known);
    const [oldest] = this.#guests.keys();
    if (this.#guests.size > maxGuests && oldest !== undefined) this.#guests.delete(oldest);
  }

  #rationed({ burst, perSecond }: typeof ofGuest): () => number | undefined {
    return rationed(burst, perSecond, this.#now);
  }
}
