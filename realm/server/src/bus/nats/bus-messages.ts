import { isRecord, type JsonRecord } from '@kata-agent/base';
import { onDoublingsOfEach } from '@kata-agent/base';
import type { Msg } from '@nats-io/transport-node';
import type { GuestDescription, RemoteGuest } from '../../guest.js';
import { isRevocable } from '../../http/revocation.js';
import { type CollectedLog, type DescribedGuest, logStates } from '../../store/log-storage.js';
import type { RevokedPeer } from '../../store/revocations.js';
import type { RemoteRefusal } from '../bus.js';

/** The latest time of a Date. */
const latest = 8_640_000_000_000_000;

/** Forms of what replicas say to each other. */
export const forms: Readonly<Record<Form, RegExp>> = {
  guestId: /^[0-9a-f]{64}$/,
  replica: /^[0-9a-f]{32}$/,
  pipe: /^[0-9a-f]{64}$/,
  /** Of a guest: that of its entry, or with 12 digits of its ID. */
  guestName: /^[A-Za-z0-9][A-Za-z0-9_.-]{0,76}$/,
  entry: /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/,
  operatorHash: /^[0-9a-f]{64}$/,
  digest: /^sha256:[0-9a-f]{64}$/,
  /** What a guest says of itself, as it was accepted in Describe. */
  described: /^[\x20-\x7e]{0,128}$/,
  code: /^[a-z_]{1,64}$/,
  message: /^[\x20-\x7e]{1,1024}$/,
  time: /^[\x20-\x7e]{1,64}$/,
};

const maxCertificates = 8;
/** Characters of base64: a larger certificate is refused in a handshake too. */
const longestCertificate = 64 * 1024;

/** What a replica asks another one, which holds the guest. */
export type Request = {
  readonly guest: string;
  readonly epoch: number;
  readonly certificates: readonly string[];
  readonly from: string;
} & (
  | { readonly kind: 'connect'; readonly pipe: string }
  | { readonly kind: 'revoke'; readonly revoked: RevokedPeer }
);

export type Answer =
  | { readonly ok: true; readonly closed?: number }
  | { readonly ok: false; readonly refusal: RemoteRefusal };

/** The answer to a replica to which the connection of a token has come. */
export type TokenAnswer =
  | {
      readonly pipe: string;
      readonly guest: { readonly id: string; readonly name: string };
      readonly certificates: readonly string[];
    }
  | { readonly pipe: null };

export const unavailable: RemoteRefusal = {
  status: 503,
  code: 'guest_unavailable',
  message: 'the replica that has the guest does not serve it: try again',
};

export function encoded(certificates: readonly Buffer[]): readonly string[] {
  return certificates.slice(0, maxCertificates).map((each) => each.toString('base64'));
}

export function decoded(certificates: readonly string[]): readonly Buffer[] {
  return certificates.map((each) => Buffer.from(each, 'base64'));
}

/** Returns the JSON of a message; undefined if it has none. */
export function parse(message: Pick<Msg, 'json'>): unknown {
  try {
    return message.json<unknown>();
  } catch {
    return undefined;
  }
}

/** Parses a request of another replica; undefined if it is not one. */
export function parseRequest(value: unknown): Request | undefined {
  const given = fieldsOf(value);
  const guest = textOf(given?.['guest'], forms.guestId);
  const epoch = countOf(given?.['epoch']);
  const from = textOf(given?.['from'], forms.replica);
  const certificates = certificatesOf(given?.['certificates']);
  if (guest === undefined || epoch === undefined || from === undefined || certificates === undefined)
    return undefined;
  const head = { guest, epoch, from, certificates };
  const pipe = textOf(given?.['pipe'], forms.pipe);
  const revoked = revokedOf(given?.['revoked']);
  if (given?.['kind'] === 'connect' && pipe !== undefined) return { ...head, kind: 'connect', pipe };
  if (given?.['kind'] === 'revoke' && revoked !== undefined) return { ...head, kind: 'revoke', revoked };
  return undefined;
}

/** Parses an answer of another replica; undefined if it is not one. Its refusal is answered to an operator as it is. */
export function parseAnswer(value: unknown): Answer | undefined {
  const given = fieldsOf(value);
  if (given?.['ok'] === true) {
    if (given['closed'] === undefined) return { ok: true };
    const closed = countOf(given['closed']);
    return closed === undefined ? undefined : { ok: true, closed };
  }
  const refusal = given?.['ok'] === false ? fieldsOf(given['refusal']) : undefined;
  const status = countOf(refusal?.['status']) ?? 0;
  const code = textOf(refusal?.['code'], forms.code);
  const message = textOf(refusal?.['message'], forms.message);
  if (status < 400 || status > 599 || code === undefined || message === undefined) return undefined;
  return { ok: false, refusal: { status, code, message } };
}

/** Returns the guest that a replica asks about whose connection has come to it; undefined if it does not. */
export function parseTokenRequest(value: unknown): string | undefined {
  return textOf(fieldsOf(value)?.['guest'], forms.guestId);
}

/** Parses the answer to a request for a token of a guest; undefined if it is not one. */
export function parseTokenAnswer(guest: string, value: unknown): TokenAnswer | undefined {
  const given = fieldsOf(value);
  if (given?.['pipe'] === null) return { pipe: null };
  const pipe = textOf(given?.['pipe'], forms.pipe);
  const named = fieldsOf(given?.['guest']);
  const name = textOf(named?.['name'], forms.guestName);
  const certificates = certificatesOf(given?.['certificates']);
  if (pipe === undefined || name === undefined || certificates === undefined || named?.['id'] !== guest)
    return undefined;
  return { pipe, guest: { id: guest, name }, certificates };
}

/** Parses what a revocation names; undefined if a guest would not accept it. */
export function revokedOf(value: unknown): RevokedPeer | undefined {
  const given = fieldsOf(value);
  const [peer, serial, issuer] = [given?.['peer'], given?.['serial'], given?.['issuer']];
  if (typeof peer !== 'string' || typeof serial !== 'string' || typeof issuer !== 'string') return undefined;
  return isRevocable({ peer, serial, issuer }) ? { peer, serial, issuer } : undefined;
}

function certificatesOf(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > maxCertificates) return undefined;
  const texts = value.filter(
    (each): each is string => typeof each === 'string' && each.length <= longestCertificate,
  );
  return texts.length === value.length ? texts : undefined;
}

/** Returns the members of a JSON object; undefined for any other value. */
export function fieldsOf(value: unknown): JsonRecord | undefined {
  return isRecord(value) ? value : undefined;
}

/** Returns a text of this form; undefined for any other value. */
export function textOf(value: unknown, form: RegExp): string | undefined {
  return typeof value === 'string' && form.test(value) ? value : undefined;
}

/** Returns a whole number from 0 on; undefined for any other value. */
function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

type Form =
  | 'guestId'
  | 'replica'
  | 'pipe'
  | 'guestName'
  | 'entry'
  | 'operatorHash'
  | 'digest'
  | 'described'
  | 'code'
  | 'message'
  | 'time';

/** A guest in the bucket. `epoch` is 0 in the entry that claims it: then the epoch is that entry's revision. */
export interface GuestEntry extends Omit<RemoteGuest, 'holder'> {
  readonly replica: string;
  readonly epoch: number;
}

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
function parseLog(value: unknown): CollectedLog | undefined {
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

/** What all replicas know of a guest that has been connected. */
export interface KnownGuest {
  readonly described: DescribedGuest;
  readonly log?: CollectedLog;
}

/** Parses what another replica has written about a guest; undefined if it is not that. */
export function parseKnownGuest(id: string, value: unknown): KnownGuest | undefined {
  const given = fieldsOf(value);
  const described = parseDescribed(id, given?.['described']);
  const log = parseLog(given?.['log']);
  if (described === undefined || (log === undefined && given?.['log'] !== undefined)) return undefined;
  return { described, ...(log === undefined ? {} : { log }) };
}

function parseDescribed(id: string, value: unknown): DescribedGuest | undefined {
  const given = fieldsOf(value);
  const name = textOf(given?.['name'], forms.guestName);
  const entry = textOf(given?.['entry'], forms.entry);
  const from = textOf(given?.['from'], forms.described);
  const connectedAt = textOf(given?.['connectedAt'], forms.time);
  if (given?.['id'] !== id || name === undefined || entry === undefined) return undefined;
  if (from === undefined || connectedAt === undefined) return undefined;
  const own = { version: forms.described, bootId: forms.described, configurationDigest: forms.digest };
  const more: [string, string][] = [];
  for (const [key, form] of Object.entries(own)) {
    if (given[key] === undefined) continue;
    const text = textOf(given[key], form);
    if (text === undefined) return undefined;
    more.push([key, text]);
  }
  return { id, name, entry, from, connectedAt, ...Object.fromEntries(more) };
}

/** Counts what is on the bus and is not of a replica: something else uses the account of the realm, or another version. */
export class Malformed {
  readonly #report: (what: string) => void;
  #count = 0;

  constructor(log: (message: string, error: Error) => void) {
    const report = onDoublingsOfEach((what, times) =>
      log('something on the bus is not of a replica, and is ignored', new Error(`${what}, ${times} times`)),
    );
    this.#report = (what) => report(what, undefined);
  }

  get count(): number {
    return this.#count;
  }

  /** @param what One of a few texts, none of which the sender chooses. */
  add(what: string): void {
    this.#count += 1;
    this.#report(what);
  }
}
