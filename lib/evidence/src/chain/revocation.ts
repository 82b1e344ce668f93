import type { RevocationListFields } from '@kata-agent/x509';
import { equalBytes } from '../byte-reader.js';
import type { LinkState } from '../link.js';
import { type ChainCertificate, dateText, mayIssue } from './chain-certificate.js';
import type { SignatureScheme } from './signature-scheme.js';

/** An authority, and the certificates of a chain that it issued. */
export interface Issued {
  readonly issuer: ChainCertificate;
  readonly certificates: readonly ChainCertificate[];
}

export interface RevocationCheck {
  readonly lists: readonly RevocationListFields[];
  readonly scheme: SignatureScheme;
  /** Milliseconds of the epoch. */
  readonly at: number | undefined;
}

interface Finding {
  readonly state: LinkState;
  readonly what: string;
}

/**
 * Checks that no certificate is revoked. Every list of an issuer counts, and one of them must be current. Lists of other
 * issuers are ignored.
 */
export function checkRevocation(chain: readonly Issued[], check: RevocationCheck): Finding {
  const findings = chain.map((issued) => checkIssuer(issued, check));
  const worst =
    findings.find(({ state }) => state === 'failed') ?? findings.find(({ state }) => state === 'not checked');
  return worst ?? { state: 'ok', what: findings.map(({ what }) => what).join('; ') };
}

function checkIssuer({ issuer, certificates }: Issued, { lists, scheme, at }: RevocationCheck): Finding {
  const own = lists.filter((list) => equalBytes(list.issuer, issuer.subject));
  if (own.length === 0)
    return { state: 'not checked', what: `there is no revocation list of ${issuer.commonName}` };
  for (const list of own) {
    const fault = listFault(list, issuer, scheme) ?? revokedFault(list, issuer, certificates);
    if (fault !== undefined) return { state: 'failed', what: fault };
  }
  if (at === undefined)
    return { state: 'not checked', what: 'no time was given to compare revocation lists with' };
  const current = own.find((list) => isCurrent(list, at));
  return current === undefined
    ? { state: 'failed', what: `no revocation list of ${issuer.commonName} is current at ${dateText(at)}` }
    : { state: 'ok', what: `not revoked by ${issuer.commonName}, list of ${dateText(current.thisUpdate)}` };
}

function listFault(
  list: RevocationListFields,
  issuer: ChainCertificate,
  scheme: SignatureScheme,
): string | undefined {
  const name = `the revocation list of ${issuer.commonName}`;
  if (!mayIssue(issuer, 'revocationLists')) return `${name}: the issuer may not issue any`;
  // A critical extension can narrow what a list covers.
  const [critical] = list.criticalExtensions;
  if (critical !== undefined) return `${name} has an unknown critical extension ${critical}`;
  if (!scheme.names(list.algorithm)) return `the signature of ${name} is not ${scheme.name}`;
  const key = scheme.signingKey(issuer.publicKey);
  const valid = key !== undefined && scheme.verify(list.signed, list.signature, key);
  return valid ? undefined : `the signature of ${name} is wrong`;
}

function revokedFault(
  list: RevocationListFields,
  issuer: ChainCertificate,
  certificates: readonly ChainCertificate[],
): string | undefined {
  const revoked = certificates.find(({ serial }) => list.serials.has(serial));
  return revoked && `the certificate ${revoked.commonName} is revoked by ${issuer.commonName}`;
}

function isCurrent({ thisUpdate, nextUpdate }: RevocationListFields, at: number): boolean {
  return thisUpdate <= at && nextUpdate !== undefined && at <= nextUpdate;
}
