import type { Certificate } from '@kata-agent/x509';
import type { Operator } from './operator.js';

/** What a realm knows of a guest when it decides about it. */
export interface GuestFacts {
  /** SHA-256 of its key's SPKI; 64 hex digits. */
  readonly id: string;
  /** `sha256:HEX`, from evidence, or from Describe; undefined if its listener does not serve that. */
  readonly configurationDigest: string | undefined;
  /** Whether evidence binds the digest; otherwise it is unverified. */
  readonly attested: boolean;
}

/** A guest that is connected, or about to be. */
export interface LiveGuest {
  readonly id: string;
  readonly name: string;
  readonly entry: string;
}

/** The name of an accepted guest, and the `[[guest]]` entry that accepts it; or why none does. */
export type Acceptance =
  | {
      readonly ok: true;
      readonly name: string;
      readonly entry: string;
      /** How many guests of the entry may be connected. */
      readonly max: number;
      /** The entry names its key. */
      readonly isPinned?: true;
    }
  /** `full`: the entry that would accept it, if fewer guests were connected. */
  | { readonly ok: false; readonly reason: string; readonly full?: string };

/** An authorization file. Pure: it decides from what it is given. */
export interface Authorization {
  /** SHA-256 of the file, in hex. */
  readonly sha256: string;
  /**
   * Decides about a guest by the first entry that matches it. `live` has those that are connected, with or without this
   * one: the same key is the same guest.
   */
  accept(facts: GuestFacts, live: readonly LiveGuest[]): Acceptance;
  /** Returns the operator of a certificate that was verified; undefined if no entry names it. */
  operator(certificate: Certificate): Operator | undefined;
}
