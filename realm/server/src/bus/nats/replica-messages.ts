import type { Msg } from '@nats-io/transport-node';
import { isRevocable } from '../../http/revocation.js';
import type { RevokedPeer } from '../../store/revocations.js';
import type { RemoteRefusal } from '../bus.js';
import { countOf, fieldsOf, forms, textOf } from './fields.js';

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
