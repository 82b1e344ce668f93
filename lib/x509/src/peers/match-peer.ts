import type { Certificate } from '../certificate/parse-certificate.js';
import { commonNames } from '../name/distinguished-name.js';
import { claimsSpiffe, type PeerEntry, spiffeFault } from './peer-entry.js';

/**
 * Reports whether an entry of `peers` grants access to a certificate. A name counts only if it is the one of its kind:
 * of two common names, or of two URIs, neither is believed. Names are compared as strings of equal characters.
 */
export function grantsPeer(entry: PeerEntry, certificate: Certificate): boolean {
  switch (entry.kind) {
    case 'uri':
    case 'uri-below': {
      const [uri, ...more] = namesOf(certificate, 'uri');
      return uri !== undefined && more.length === 0 && matchesUri(entry, uri);
    }
    case 'cn': {
      const [name, ...more] = commonNames(certificate.subject);
      return more.length === 0 && name === entry.name;
    }
    case 'any':
    case 'dns':
    case 'subject':
    case 'spki':
      return namesPeer(entry, certificate);
  }
}

/**
 * Reports whether an entry names a certificate by any of its names. For revocation, where a certificate with several
 * names must not escape.
 */
export function namesPeer(entry: PeerEntry, certificate: Certificate): boolean {
  switch (entry.kind) {
    case 'any':
      return true;
    case 'uri':
      return namesOf(certificate, 'uri').includes(entry.uri);
    case 'uri-below':
      // Whatever follows: a name that `peers` would not accept must not escape a revocation.
      return namesOf(certificate, 'uri').some((uri) => uri.startsWith(entry.parent));
    case 'dns':
      return namesOf(certificate, 'dns').some((name) => name.toLowerCase() === entry.name);
    case 'cn':
      return commonNames(certificate.subject).includes(entry.name);
    case 'subject':
      return certificate.subjectText === entry.name;
    case 'spki':
      return certificate.spki === entry.hash;
  }
}

/**
 * Returns why a certificate that claims a SPIFFE id is not valid as one; undefined if it is, or claims none. An SVID has
 * one URI (SPIFFE X.509-SVID, section 2).
 */
export function svidFault(certificate: Certificate): string | undefined {
  const uris = namesOf(certificate, 'uri');
  if (!uris.some(claimsSpiffe)) return undefined;
  if (uris.length > 1) return `a SPIFFE id beside another URI: ${uris.join(', ')}`;
  const [uri = ''] = uris;
  const fault = spiffeFault(uri);
  return fault === undefined ? undefined : `the SPIFFE id ${uri} is not valid: ${fault}`;
}

function namesOf({ alternativeNames }: Certificate, kind: 'uri' | 'dns'): readonly string[] {
  return alternativeNames.filter((name) => name.kind === kind).map(({ value }) => value);
}

/** The segment that `*` matches is of the characters of a SPIFFE segment, so that it matches neither a parent path nor further segments. */
function matchesUri(entry: Extract<PeerEntry, { kind: 'uri' | 'uri-below' }>, uri: string): boolean {
  if (entry.kind === 'uri') return uri === entry.uri;
  if (!uri.startsWith(entry.parent)) return false;
  const segment = uri.slice(entry.parent.length);
  return /^[A-Za-z0-9._-]+$/.test(segment) && segment !== '.' && segment !== '..';
}
