import { NetlinkError } from '@kata-agent/linux';
import { GuestError, type GuestErrorKind } from '../guest-error.js';

/** Refusals of the kernel that are the request's fault; all others are `internal`. */
const kinds: ReadonlyMap<string, GuestErrorKind> = new Map([
  ['EINVAL', 'invalid'],
  // A gateway that no route leads to.
  ['ENETUNREACH', 'invalid'],
  ['EHOSTUNREACH', 'invalid'],
]);

/**
 * Makes a change. A refusal of the kernel is a GuestError that names what was refused; no other code translates these.
 *
 * @param what `route default via 10.0.0.1 dev eth0`
 */
export function explainRefusal(what: string, change: () => void): void {
  try {
    change();
  } catch (error) {
    throw error instanceof NetlinkError ? refusal(what, error) : error;
  }
}

function refusal(what: string, error: NetlinkError): GuestError {
  const message = `${what}: ${error.message}`;
  if (error.code === 'ENODEV') return linkNotFound(message);
  return new GuestError(kinds.get(error.code) ?? 'internal', message, { cause: error });
}

/**
 * Kata's Go runtime tries UpdateInterface again when an error has the words `Link not found` (docs/records/kata-facts.md, "What
 * clients look for in errors").
 */
export function linkNotFound(how: string): GuestError {
  return new GuestError('not-found', `Link not found (${how})`);
}
