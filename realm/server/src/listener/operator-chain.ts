import { X509Certificate } from 'node:crypto';
import { type Certificate, pathFault } from '@kata-agent/x509';
import { operatorFault } from './authenticate-operator.js';
import type { OperatorCa } from './operator-ca.js';
import { certificateOf } from './tls-peer.js';

/** Certificates between an operator's and a CA. */
const maxBetween = 8;

/**
 * Verifies the certificate of an operator that another replica has authenticated: a chain to a CA, dates and usages. The
 * first is the operator's; the others can be between it and a CA. Returns it, or why it is not accepted. Of revocation lists
 * the names count, not their times: a list that has expired ends handshakes, and this is after one.
 */
export function verifyOperatorChain(
  certificates: readonly Buffer[],
  { ca, crl, revokes }: OperatorCa,
  now: number,
): Certificate | string {
  const [own, ...others] = certificates;
  const certificate = certificateOf(own);
  if (typeof certificate === 'string') return certificate;
  const fault = operatorFault(certificate, now);
  if (fault !== undefined) return fault;
  if (revokes(certificate)) return "the operator's certificate is revoked";
  try {
    const between = others
      .slice(0, maxBetween)
      .map((bytes) => new X509Certificate(bytes))
      .filter(({ raw }) => crl.length === 0 || !isRevoked(raw, revokes));
    const roots = ca.map((pem) => new X509Certificate(pem));
    if (own === undefined) return noChain;
    const fault = chainFault(new X509Certificate(own), between, roots, now);
    return fault ?? certificate;
  } catch (error) {
    return `the certificates cannot be read: ${(error as Error).message}`;
  }
}

const noChain = "no chain leads from the operator's certificate to --operator-ca";

/** What cannot be parsed here counts as revoked. */
function isRevoked(bytes: Buffer, revokes: OperatorCa['revokes']): boolean {
  const certificate = certificateOf(bytes);
  return typeof certificate === 'string' || revokes(certificate);
}

/** Certificates that have signed each other lead to more paths than can be tried. */
const maxSteps = 256;

/**
 * Returns why no path leads to a root, or the fault of the first one that does; undefined if one has none: as the handshake with another
 * replica has decided by OpenSSL.
 */
function chainFault(
  own: X509Certificate,
  between: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  now: number,
): string | undefined {
  const signs = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
    issuer.ca &&
    Date.parse(issuer.validFrom) <= now &&
    now < Date.parse(issuer.validTo) &&
    certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey);
  let first: string | undefined;
  let steps = 0;
  const leads = (path: readonly X509Certificate[]): boolean => {
    const last = path.at(-1) ?? own;
    for (const root of roots) {
      if (!signs(root, last)) continue;
      const fault = pathFault([...path, root].map(({ raw }) => raw));
      if (fault === undefined) return true;
      first ??= fault;
    }
    return between.some((issuer) => {
      steps += 1;
      return steps <= maxSteps && !path.includes(issuer) && signs(issuer, last) && leads([...path, issuer]);
    });
  };
  return leads([own]) ? undefined : (first ?? noChain);
}
