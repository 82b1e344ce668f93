import type { Certificate } from '@kata-agent/x509';
import type { Operator } from './operator-rights.js';

/** Digits of an ID in a name. */
const idDigits = 12;

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

/** A `[[guest]]` entry. */
export interface GuestEntry {
  readonly name: string;
  /** `sha256:HEX` of each; `any`: every configuration; undefined: it does not matter. */
  readonly configurations: ReadonlySet<string> | 'any' | undefined;
  /** SHA-256 of each key in hex; undefined: it does not matter. */
  readonly keys: ReadonlySet<string> | undefined;
  readonly max: number;
  /** Whether it accepts attested guests only. */
  readonly attested: boolean;
}

/** Decides about a guest by the first entry that matches it: which one does not depend on who is connected. */
export function accept(
  entries: readonly GuestEntry[],
  facts: GuestFacts,
  live: readonly LiveGuest[],
): Acceptance {
  const entry = entries.find((each) => matches(each, facts));
  if (entry === undefined) return { ok: false, reason: 'no [[guest]] entry accepts it' };
  const { name, max } = entry;
  const others = live.filter((guest) => guest.entry === name && guest.id !== facts.id);
  if (others.length >= max)
    return {
      ok: false,
      full: name,
      reason: `[[guest]] "${name}" has max = ${max}, and as many are connected`,
    };
  const own = max === 1 ? name : `${name}-${facts.id.slice(0, idDigits)}`;
  // A key whose first digits are those of another can be found with effort.
  if (live.some((guest) => guest.name === own && guest.id !== facts.id))
    return { ok: false, reason: `a connected guest has the name ${own}` };
  return { ok: true, entry: name, name: own, max, ...(entry.keys === undefined ? {} : { isPinned: true }) };
}

/**
 * Returns what the names of all guests of an entry begin with, from one of them. An operator with a right for each guest whose
 * name begins so may do it with all of the entry.
 */
export function entryNames({ id, name }: Pick<LiveGuest, 'id' | 'name'>): string {
  const own = id.slice(0, idDigits);
  return name.endsWith(`-${own}`) ? name.slice(0, -own.length) : name;
}

function matches(
  { configurations, keys, attested }: GuestEntry,
  { id, configurationDigest, attested: isAttested }: GuestFacts,
): boolean {
  if (attested && !isAttested) return false;
  // An entry without either is an error of the file.
  if (configurations === undefined && keys === undefined) return false;
  if (keys !== undefined && !keys.has(id)) return false;
  if (configurations === undefined || configurations === 'any') return true;
  return configurationDigest !== undefined && configurations.has(configurationDigest);
}

/** Returns why a name could be taken for another; undefined if it cannot. */
export function nameFault(name: string, others: readonly GuestEntry[]): string | undefined {
  if (/^[0-9a-f]{12,64}$/.test(name)) return 'it could be the begin of an ID';
  const [, before] = /^(.*)-[0-9a-f]{12}$/.exec(name) ?? [];
  if (before !== undefined && others.some((other) => other.name === before && other.max > 1))
    return `a guest of [[guest]] "${before}" could have it`;
  return undefined;
}
