import type { Authorization } from '../authorization/authorization.js';
import type { RemoteGuest } from '../guest.js';

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
