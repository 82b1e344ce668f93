import { X509Certificate } from 'node:crypto';
import type { Certificate } from '@kata-agent/x509';
import { operatorFault } from './authenticate-operator.js';
import type { OperatorCa } from './operator-ca.js';
import { certificateOf } from './tls-peer.js';

/** Certificates between an operator's and a CA. */
const mostBetween = 8;

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
      .slice(0, mostBetween)
      .map((bytes) => new X509Certificate(bytes))
      .filter(({ raw }) => crl.length === 0 || !isRevoked(raw, revokes));
    const roots = ca.map((pem) => new X509Certificate(pem));
    if (own !== undefined && leadsToRoot(new X509Certificate(own), between, roots, now)) return certificate;
  } catch (error) {
    return `the certificates cannot be read: ${(error as Error).message}`;
  }
  return "no chain leads from the operator's certificate to --operator-ca";
}

/** What cannot be parsed here counts as revoked. */
function isRevoked(bytes: Buffer, revokes: OperatorCa['revokes']): boolean {
  const certificate = certificateOf(bytes);
  return typeof certificate === 'string' || revokes(certificate);
}

/** Goes from issuer to issuer, to each once: certificates that have signed each other cost no more than others. */
function leadsToRoot(
  own: X509Certificate,
  between: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  now: number,
): boolean {
  const signs = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
    issuer.ca &&
    Date.parse(issuer.validFrom) <= now &&
    now < Date.parse(issuer.validTo) &&
    certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey);
  let reached = [own];
  let left = between;
  while (reached.length > 0) {
    const from = reached;
    if (roots.some((root) => from.some((certificate) => signs(root, certificate)))) return true;
    reached = left.filter((issuer) => from.some((certificate) => signs(issuer, certificate)));
    const found = new Set(reached);
    left = left.filter((issuer) => !found.has(issuer));
  }
  return false;
}
