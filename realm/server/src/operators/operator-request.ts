import { badRequest, HttpError } from '../http/http-answers.js';

/** What an operator asks for. `guest` is a name, or an ID or its first 12 or more digits. */
export type OperatorRequest =
  | { readonly kind: 'guests' }
  | { readonly kind: 'guest'; readonly guest: string }
  | {
      readonly kind: 'audit';
      readonly guest: string;
      /** The sequence number of the first record; undefined: the first that is stored. */
      readonly from: number | undefined;
      readonly follow: boolean;
    }
  | { readonly kind: 'revoke'; readonly guest: string }
  | { readonly kind: 'connect'; readonly guest: string };

/** Names of guests. No character is written in another way in a URL, so that nothing is decoded. */
const guestForm = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/;

/** Reports whether a text can be the name of a guest, or its ID. */
export function isGuestName(text: string): boolean {
  return guestForm.test(text);
}

/**
 * Parses method and target of a request. A target has one form only: no percent signs, no dots or slashes that could be
 * left out, no unknown parameters. Throws an HttpError.
 */
export function parseOperatorRequest(method: string, target: string): OperatorRequest {
  const [path = '', query, ...more] = target.split('?');
  if (more.length > 0) throw badRequest('the target has more than one question mark');
  const [empty, first, second, third, fourth, ...rest] = path.split('/');
  const known = empty === '' && rest.length === 0;
  if (known && first === 'guests' && second !== undefined && third === undefined) {
    only(method, 'GET');
    noQuery(query);
    return { kind: 'connect', guest: guestOf(second) };
  }
  if (!known || first !== 'v1' || second !== 'guests') throw noSuchPath();
  if (third === undefined) {
    only(method, 'GET');
    noQuery(query);
    return { kind: 'guests' };
  }
  const guest = guestOf(third);
  switch (fourth) {
    case undefined:
      only(method, 'GET');
      noQuery(query);
      return { kind: 'guest', guest };
    case 'audit':
      only(method, 'GET');
      return { kind: 'audit', guest, ...auditQuery(query) };
    case 'revocations':
      only(method, 'POST');
      noQuery(query);
      return { kind: 'revoke', guest };
    default:
      throw noSuchPath();
  }
}

function guestOf(text: string): string {
  if (isGuestName(text)) return text;
  throw badRequest('the name of a guest has up to 128 letters, digits, dots, dashes and underscores');
}

function auditQuery(query: string | undefined): {
  readonly from: number | undefined;
  readonly follow: boolean;
} {
  let from: number | undefined;
  let follow: boolean | undefined;
  for (const part of query === undefined ? [] : query.split('&')) {
    const [, name, value = ''] = /^([a-z]+)=([0-9a-z]+)$/.exec(part) ?? [];
    if (name === 'from' && from === undefined && /^[1-9]\d{0,14}$/.test(value)) from = Number(value);
    else if (name === 'follow' && follow === undefined && /^(?:true|false)$/.test(value))
      follow = value === 'true';
    else throw badRequest('the query takes from=SEQUENCE, from 1, and follow=true or false, once each');
  }
  return { from, follow: follow ?? false };
}

function only(method: string, allowed: string): void {
  if (method !== allowed) throw new HttpError(405, 'method_not_allowed', `only ${allowed} is served here`);
}

function noQuery(query: string | undefined): void {
  if (query !== undefined) throw badRequest('no query is taken here');
}

function noSuchPath(): HttpError {
  return new HttpError(
    404,
    'no_such_path',
    'served: /guests/GUEST (Upgrade), /v1/guests, /v1/guests/GUEST, and its /audit and /revocations',
  );
}
