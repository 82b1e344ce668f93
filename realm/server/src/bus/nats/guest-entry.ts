import type { GuestDescription, RemoteGuest } from '../../guest.js';
import { type CollectedLog, logStates } from '../../store/collected-log.js';
import { countOf, fieldsOf, forms, textOf } from './fields.js';

/** A guest in the bucket. `epoch` is 0 in the entry that claims it: then the epoch is that entry's revision. */
export interface GuestEntry extends Omit<RemoteGuest, 'holder'> {
  readonly replica: string;
  readonly epoch: number;
}

/** The latest time of a Date. */
const latest = 8_640_000_000_000_000;

/**
 * Parses the entry of a guest, which another replica has written. Undefined: it is not one. Operators see the result, so that
 * each text has a form, and a subject can be made of each ID.
 */
export function parseGuestEntry(id: string, value: unknown): GuestEntry | undefined {
  const given = fieldsOf(value);
  if (given === undefined || given['id'] !== id || !forms.guestId.test(id)) return undefined;
  const name = textOf(given['name'], forms.guestName);
  const entry = textOf(given['entry'], forms.entry);
  const replica = textOf(given['replica'], forms.replica);
  const { relay } = given;
  const connectedAt = countOf(given['connectedAt']);
  const epoch = countOf(given['epoch']);
  const log = parseLog(given['log']);
  const described = parseDescription(given['described']);
  if (name === undefined || entry === undefined || replica === undefined || log === undefined)
    return undefined;
  if (relay !== 'operator-tls' && relay !== 'trusted') return undefined;
  if (connectedAt === undefined || connectedAt > latest || epoch === undefined) return undefined;
  const { attested } = given;
  if (typeof attested !== 'boolean' || described === 'none') return undefined;
  return { id, name, entry, replica, relay, attested, described, connectedAt, epoch, log };
}

function parseDescription(value: unknown): GuestDescription | undefined | 'none' {
  if (value === undefined) return undefined;
  const given = fieldsOf(value);
  const version = textOf(given?.['version'], forms.described);
  const bootId = textOf(given?.['bootId'], forms.described);
  const configurationDigest = textOf(given?.['configurationDigest'], forms.digest);
  if (version === undefined || bootId === undefined || configurationDigest === undefined) return 'none';
  return { version, bootId, configurationDigest };
}

/** Parses the notes on a guest's log. */
export function parseLog(value: unknown): CollectedLog | undefined {
  const given = fieldsOf(value);
  const state = logStates.find((each) => each === given?.['state']);
  const records = countOf(given?.['records']);
  const lastSequence = countOf(given?.['lastSequence']);
  if (state === undefined || records === undefined || lastSequence === undefined) return undefined;
  return { state, records, lastSequence, ...(given?.['isSilent'] === true ? { isSilent: true } : {}) };
}

/** Returns the guest that an entry of a name names; undefined if it is not such an entry. */
export function parseNameEntry(value: unknown): string | undefined {
  return textOf(fieldsOf(value)?.['guest'], forms.guestId);
}
