import { isDeepStrictEqual } from 'node:util';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { type Certificate, canonicalSerial, namesPeer, type PeerEntry } from '@kata-agent/x509';

/** What is revoked: an entry of the grammar of `peers`, or one certificate of an issuer. */
export type Revocation =
  | { readonly kind: 'entry'; readonly entry: PeerEntry }
  /** The serial number in hex, and the issuer as RFC 4514 text. */
  | { readonly kind: 'serial'; readonly serial: string; readonly issuer: string };

/**
 * More entries than these are refused: each costs time in every handshake. A caller cannot take the places of others, so that one
 * whose key is stolen is revoked by them; a server that the agent has dialled has its own, since it ends the connection of a guest that
 * does not accept revocations from elsewhere.
 */
const max = { ofCaller: 1024, ofCallers: 4096, ofServer: 4096 } as const;

/** The party that revokes: of a server the calls that it makes for itself. */
export interface Revoker {
  readonly key: string;
  readonly isServer: boolean;
}

/**
 * The revocations since the agent started, of all listeners. They only grow, so that no call gives access back; a new
 * boot begins without them. They concern callers, not servers that the agent dials: one operator would cut off all others, and
 * what collects the audit log (S44).
 */
export class Revocations {
  readonly #revoked: { readonly revocation: Revocation; readonly by: Revoker }[] = [];
  readonly #servers = new Set<{ readonly listener: string; readonly certificate: Certificate }>();
  readonly #listeners: ((revocation: Revocation) => number)[] = [];

  /** Notes the certificate of a server that a listener has dialled, until the function that is returned is called. */
  addServer(listener: string, certificate: Certificate): () => void {
    const server = { listener, certificate };
    this.#servers.add(server);
    return () => void this.#servers.delete(server);
  }

  /** Returns the listener whose connected server a revocation names; undefined if it names none. */
  serverNamed(revocation: Revocation): string | undefined {
    return [...this.#servers].find(({ certificate }) => revokes(revocation, certificate))?.listener;
  }

  /** Revokes. Returns the number of open connections that were closed. Throws a TtrpcError RESOURCE_EXHAUSTED if no more fit. */
  add(revocation: Revocation, by: Revoker): number {
    // A caller can repeat its revocations, as after a boot: equal ones take no further place.
    if (!this.#revoked.some((known) => isDeepStrictEqual(known.revocation, revocation))) {
      this.#checkPlace(by);
      this.#revoked.push({ revocation, by });
    }
    return this.#listeners.reduce((closed, listener) => closed + listener(revocation), 0);
  }

  has(certificate: Certificate): boolean {
    return this.#revoked.some(({ revocation }) => revokes(revocation, certificate));
  }

  /** Calls `listener` with each later revocation; it returns how many connections it closed. */
  watch(listener: (revocation: Revocation) => number): void {
    this.#listeners.push(listener);
  }

  #checkPlace({ key, isServer }: Revoker): void {
    const own = this.#revoked.filter(({ by }) => by.key === key && by.isServer === isServer).length;
    if (own >= (isServer ? max.ofServer : max.ofCaller)) throw tooMany(`${own} revocations of this caller`);
    const all = this.#revoked.filter(({ by }) => !by.isServer).length;
    if (!isServer && all >= max.ofCallers) throw tooMany(`${all} revocations`);
  }
}

/** Reports whether a revocation applies to a certificate. Any of its names counts. */
export function revokes(revocation: Revocation, certificate: Certificate): boolean {
  if (revocation.kind === 'entry') return namesPeer(revocation.entry, certificate);
  return (
    canonicalSerial(revocation.serial) === certificate.serial && revocation.issuer === certificate.issuerText
  );
}

/** The caller must not believe that the peer is revoked. */
function tooMany(whose: string): TtrpcError {
  return new TtrpcError(
    Code.ResourceExhausted,
    `there are ${whose} already: use a pattern that includes others, let another caller revoke, or replace the CA`,
  );
}
