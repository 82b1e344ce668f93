import { canonicalName, NameSyntaxError } from '../name/canonical-name.js';

const maxBytes = 2048;

const form = /^spki:sha256:([0-9a-fA-F]{64})$/;

/** An entry of `peers` on a `tls://` listener, parsed. */
export type PeerEntry =
  /** Every certificate of the CA. */
  | { readonly kind: 'any' }
  | { readonly kind: 'uri'; readonly uri: string }
  /** The text before the last segment, with its slash: any one segment follows. */
  | { readonly kind: 'uri-below'; readonly parent: string }
  /** In lower case. */
  | { readonly kind: 'dns'; readonly name: string }
  | { readonly kind: 'cn'; readonly name: string }
  /** RFC 4514 text as `formatName` writes it. */
  | { readonly kind: 'subject'; readonly name: string }
  /** SHA-256 in hex. */
  | { readonly kind: 'spki'; readonly hash: string };

/** An entry of `peers` that is not valid. */
export class PeerEntryError extends Error {
  readonly help: string;

  constructor(entry: string, why: string, help: string) {
    super(`peers entry '${entry}': ${why}`);
    this.name = 'PeerEntryError';
    this.help = help;
  }
}

export const peerEntryForms: string =
  'uri:spiffe://example/ops/alice, uri:spiffe://example/ops/*, dns:ops.example, cn:auditor, subject:CN=auditor,O=Example, spki:sha256:HEX, or only "*" for all of the CA';

/** Parses the entries of `peers`. Throws a PeerEntryError. */
export function parsePeerEntries(texts: readonly string[]): readonly PeerEntry[] {
  const entries = texts.map(parsePeerEntry);
  if (entries.length > 1 && entries.some(({ kind }) => kind === 'any'))
    throw new PeerEntryError('*', 'other entries have no effect beside it', 'list "*" alone, or remove it');
  return entries;
}

/** Parses one entry. Throws a PeerEntryError. */
export function parsePeerEntry(text: string): PeerEntry {
  if (text === '*') return { kind: 'any' };
  const colon = text.indexOf(':');
  const value = text.slice(colon + 1);
  const wrong = (why: string, help = `valid entries: ${peerEntryForms}`): PeerEntryError =>
    new PeerEntryError(text, why, help);
  switch (colon < 0 ? '' : text.slice(0, colon)) {
    case 'uri':
      return uriEntry(value, wrong);
    case 'dns':
      return dnsEntry(value, wrong);
    case 'cn':
      return cnEntry(value, wrong);
    case 'subject':
      return subjectEntry(value, wrong);
    case 'spki':
      return spkiEntry(text, wrong);
    default:
      throw wrong('unknown type');
  }
}

type Wrong = (why: string, help?: string) => PeerEntryError;

function uriEntry(value: string, wrong: Wrong): PeerEntry {
  const below = value.endsWith('/*');
  const uri = below ? value.slice(0, -1) : value;
  if (uri.includes('*'))
    throw wrong('* is valid only as the whole last segment of a path', 'write uri:SCHEME://AUTHORITY/PATH/*');
  const fault = claimsSpiffe(uri) ? spiffeFault(below ? `${uri}x` : uri) : uriFault(uri);
  if (fault !== undefined) throw wrong(fault, 'write the URI exactly as it is in the certificate');
  return below ? { kind: 'uri-below', parent: uri } : { kind: 'uri', uri };
}

/** Without percent signs and climbing segments, equal URIs are equal bytes. */
function uriFault(uri: string): string | undefined {
  const match = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]+(.*)$/.exec(uri);
  if (match === null) return 'the URI is not of the form SCHEME://AUTHORITY/PATH';
  if (!/^[!-~]+$/.test(uri)) return 'the URI has characters that are not visible ASCII';
  if (/[%?#]/.test(uri)) return 'the URI has a query, a fragment or a percent sign';
  const segments = (match[1] ?? '').split('/');
  return segments.includes('..') || segments.includes('.') ? 'the URI has a climbing segment' : undefined;
}

function dnsEntry(value: string, wrong: Wrong): PeerEntry {
  const label = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
  if (value.length > 253 || !new RegExp(`^${label}(\\.${label})*$`).test(value))
    throw wrong(
      'this is not a DNS name',
      'write a whole name without wildcards; an international name in its xn-- form',
    );
  return { kind: 'dns', name: value.toLowerCase() };
}

function cnEntry(name: string, wrong: Wrong): PeerEntry {
  if (name === '') throw wrong('the name is empty');
  if (name.includes('*')) throw wrong('* has no meaning in a common name', 'list each name');
  if (/\p{Cc}/u.test(name)) throw wrong('the name contains a control character');
  return { kind: 'cn', name };
}

function subjectEntry(value: string, wrong: Wrong): PeerEntry {
  try {
    return { kind: 'subject', name: canonicalName(value) };
  } catch (error) {
    if (!(error instanceof NameSyntaxError)) throw error;
    throw wrong(
      error.message,
      'write the subject as `openssl x509 -noout -subject -nameopt RFC2253` prints it, such as subject:CN=auditor,O=Example',
    );
  }
}

function spkiEntry(text: string, wrong: Wrong): PeerEntry {
  const hash = parsePin(text);
  if (hash === undefined)
    throw wrong('this is not the SHA-256 of a public key', 'write spki:sha256: and 64 hex digits');
  return { kind: 'spki', hash };
}

/** Returns the hash of a pin `spki:sha256:HEX` in lower case; undefined if the text is not one. */
export function parsePin(text: string): string | undefined {
  return form.exec(text)?.[1]?.toLowerCase();
}

/** Returns the pin of a public key's SHA-256 in hex. */
export function formatPin(hash: string): string {
  return `spki:sha256:${hash}`;
}

/**
 * Returns why a URI is not a valid SPIFFE id of a workload; undefined if it is. No query, percent signs, empty or
 * climbing segments: those have several spellings or several readings.
 */
export function spiffeFault(uri: string): string | undefined {
  if (uri.length > maxBytes) return `it has more than ${maxBytes} bytes`;
  const match = /^spiffe:\/\/([^/]*)(.*)$/.exec(uri);
  if (match === null) return 'it does not begin with spiffe:// in lower case';
  const [, domain = '', path = ''] = match;
  if (!/^[a-z0-9._-]{1,255}$/.test(domain))
    return `the trust domain '${domain}' has other characters than a-z 0-9 . _ -`;
  return pathFault(path);
}

/** Reports whether a URI claims to be a SPIFFE id. */
export function claimsSpiffe(uri: string): boolean {
  return /^spiffe:/i.test(uri);
}

function pathFault(path: string): string | undefined {
  if (path === '') return 'it has no path';
  for (const segment of path.slice(1).split('/')) {
    if (segment === '') return 'it has an empty segment';
    if (segment === '.' || segment === '..') return `it has the segment '${segment}'`;
    if (!/^[A-Za-z0-9._-]+$/.test(segment))
      return `the segment '${segment}' has other characters than A-Z a-z 0-9 . _ -`;
  }
  return undefined;
}
