import type { Authorization } from '../authorization/authorization.js';
import type { RemoteGuest } from './guest.js';

/**
 * Chooses the guests of other replicas that the authorization file of this one admits too, under the same name: neither a replica
 * with another file, nor somebody who writes to the bus, gives names here.
 */
export class AdmittedRemotes {
  readonly #authorization: () => Authorization;
  #decidedBy: Authorization | undefined;
  /** Each is said again every few seconds; until then it is decided once. */
  #decided = new WeakMap<RemoteGuest, boolean>();

  /** `authorization` returns the one that counts now. */
  constructor(authorization: () => Authorization) {
    this.#authorization = authorization;
  }

  of(guests: readonly RemoteGuest[]): readonly RemoteGuest[] {
    const authorization = this.#authorization();
    if (authorization !== this.#decidedBy) {
      this.#decidedBy = authorization;
      this.#decided = new WeakMap();
    }
    return guests.filter((guest) => {
      const known = this.#decided.get(guest) ?? isAdmitted(authorization, guest);
      this.#decided.set(guest, known);
      return known;
    });
  }
}

function isAdmitted(authorization: Authorization, { id, name, entry, described }: RemoteGuest): boolean {
  const admission = authorization.admit({ id, configurationDigest: described?.configurationDigest }, []);
  return admission.ok && admission.name === name && admission.entry === entry;
}
