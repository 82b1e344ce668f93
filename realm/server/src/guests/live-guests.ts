import type { Authorization, LiveGuest } from '../authorization/guest-acceptance.js';
import type { Lease } from '../bus/bus.js';
import type { AnyGuest, Guest, GuestDescription, Guests, RemoteGuest } from '../guest.js';

/** A guest that has a name, here or at another replica. */
interface NamedGuest extends LiveGuest {
  readonly described: GuestDescription | undefined;
}

/** A guest that has a name, and its connection. Operators see it once it is shown. */
export interface Held extends NamedGuest {
  /** Ends the connection. */
  readonly end: (why: string) => void;
}

const minDigits = 12;

/** The guests that are connected. A name belongs to a guest from its acceptance until its connection has ended. */
export class LiveGuests implements Guests {
  readonly #held = new Map<string, Held>();
  readonly #shown = new Map<string, { readonly guest: Guest; readonly lease: Lease }>();
  readonly #remote: () => readonly RemoteGuest[];
  readonly #shownRemote: () => readonly RemoteGuest[];

  /** `remote` returns the guests of other replicas, and `shown` those of them that operators of this one see. */
  constructor(
    remote: () => readonly RemoteGuest[] = () => [],
    shown: (guests: readonly RemoteGuest[]) => readonly RemoteGuest[] = (guests) => guests,
  ) {
    this.#remote = remote;
    this.#shownRemote = () => shown(remote());
  }

  list(): readonly AnyGuest[] {
    // What another replica can have by now is not shown as a guest of this one.
    const own = [...this.#shown.values()].filter(({ lease }) => lease.isValid).map(({ guest }) => guest);
    const ids = new Set(own.map(({ id }) => id));
    return [...own, ...this.#shownRemote().filter(({ id }) => !ids.has(id))];
  }

  /** Returns a guest that this process holds. */
  own(id: string): Guest | undefined {
    const shown = this.#shown.get(id);
    return shown?.lease.isValid === true ? shown.guest : undefined;
  }

  /** Says the state of the log of a guest to other replicas. */
  touch(id: string): void {
    this.#shown.get(id)?.lease.touch();
  }

  find(name: string): AnyGuest | undefined {
    const guests = this.list();
    const named = guests.find((guest) => guest.name === name);
    if (named !== undefined || !/^[0-9a-f]+$/.test(name) || name.length < minDigits) return named;
    const [found, ...more] = guests.filter(({ id }) => id.startsWith(name));
    return more.length === 0 ? found : undefined;
  }

  /** Those that have a name, shown or not, here or at other replicas: also where another replica gives names that this one does not. */
  held(): readonly NamedGuest[] {
    const remote = this.#remote().filter(({ id }) => !this.#held.has(id));
    return [...this.#held.values(), ...remote];
  }

  /** Gives a name. An earlier connection of the same guest is ended: the same key is the same guest. */
  hold(held: Held): void {
    const before = this.#held.get(held.id);
    this.#shown.delete(held.id);
    this.#held.set(held.id, held);
    before?.end('the guest has connected again');
  }

  /** Shows a guest to operators, if this connection still has its name. */
  show(held: Held, guest: Guest, lease: Lease): boolean {
    if (this.#held.get(held.id) !== held) return false;
    this.#shown.set(held.id, { guest, lease });
    return true;
  }

  /** Takes the name back, if this connection still has it. */
  release(held: Held): void {
    if (this.#held.get(held.id) !== held) return;
    this.#held.delete(held.id);
    this.#shown.delete(held.id);
  }
}

/**
 * Chooses the guests of other replicas that the authorization file of this one accepts too, under the same name: neither a replica
 * with another file, nor a client that writes to the bus, gives names here.
 */
export class AcceptedRemotes {
  readonly #authorization: () => Authorization;
  #decidedBy: Authorization | undefined;
  /** Each is announced again every few seconds; until then it is decided once. */
  #decided = new WeakMap<RemoteGuest, boolean>();

  readonly #allowUnattested: boolean;

  /** `authorization` returns the one that counts now. */
  constructor(authorization: () => Authorization, allowUnattested: boolean) {
    this.#authorization = authorization;
    this.#allowUnattested = allowUnattested;
  }

  of(guests: readonly RemoteGuest[]): readonly RemoteGuest[] {
    const authorization = this.#authorization();
    if (authorization !== this.#decidedBy) {
      this.#decidedBy = authorization;
      this.#decided = new WeakMap();
    }
    return guests.filter((guest) => {
      if (!guest.attested && !this.#allowUnattested) return false;
      const known = this.#decided.get(guest) ?? isAccepted(authorization, guest);
      this.#decided.set(guest, known);
      return known;
    });
  }
}

function isAccepted(
  authorization: Authorization,
  { id, name, entry, described, attested }: RemoteGuest,
): boolean {
  const facts = { id, configurationDigest: described?.configurationDigest, attested };
  const acceptance = authorization.accept(facts, []);
  return acceptance.ok && acceptance.name === name && acceptance.entry === entry;
}
