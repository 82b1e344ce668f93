import type { LiveGuest } from '../authorization/authorization.js';
import type { Guest, Guests } from './guest.js';

/** A guest that has a name, and its connection. Operators see it once it is shown. */
export interface Held extends LiveGuest {
  /** Ends the connection. */
  readonly end: (why: string) => void;
}

const leastDigits = 12;

/** The guests that are connected. A name belongs to a guest from its admission until its connection has ended. */
export class LiveGuests implements Guests {
  readonly #held = new Map<string, Held>();
  readonly #shown = new Map<string, Guest>();

  list(): readonly Guest[] {
    return [...this.#shown.values()];
  }

  find(name: string): Guest | undefined {
    const guests = this.list();
    const named = guests.find((guest) => guest.name === name);
    if (named !== undefined || !/^[0-9a-f]+$/.test(name) || name.length < leastDigits) return named;
    const [found, ...more] = guests.filter(({ id }) => id.startsWith(name));
    return more.length === 0 ? found : undefined;
  }

  /** Those that have a name, shown or not. */
  held(): readonly Held[] {
    return [...this.#held.values()];
  }

  /** Gives a name. An earlier connection of the same guest is ended: the same key is the same guest. */
  hold(held: Held): void {
    const before = this.#held.get(held.id);
    this.#shown.delete(held.id);
    this.#held.set(held.id, held);
    before?.end('the guest has connected again');
  }

  /** Shows a guest to operators, if this connection still has its name. */
  show(held: Held, guest: Guest): boolean {
    if (this.#held.get(held.id) !== held) return false;
    this.#shown.set(held.id, guest);
    return true;
  }

  /** Takes the name back, if this connection still has it. */
  release(held: Held): void {
    if (this.#held.get(held.id) !== held) return;
    this.#held.delete(held.id);
    this.#shown.delete(held.id);
  }
}
