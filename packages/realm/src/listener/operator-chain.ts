import { X509Certificate } from 'node:crypto';
import type { Certificate } from '@kata-agent/x509';
import { operatorFault } from './authenticate-operator.js';
import type { OperatorCa } from './operator-ca.js';
import { readCertificate } from './read-certificate.js';

const longestChain = 8;

/**
 * Verifies the certificate of an operator that another replica has authenticated: a chain to a CA, dates and usages. The
 * first is the operator's; the others can be between it and a CA. Returns it, or why it is not accepted. Revocation lists are
 * read in handshakes only, by the replica that has the operator.
 */
export function verifyOperatorChain(
  certificates: readonly Buffer[],
  { ca }: Pick<OperatorCa, 'ca'>,
  now: number,
): Certificate | string {
  const [own, ...others] = certificates;
  const certificate = readCertificate(own);
  if (typeof certificate === 'string') return certificate;
  const fault = operatorFault(certificate, now);
  if (fault !== undefined) return fault;
  try {
    const between = others.slice(0, longestChain).map((bytes) => new X509Certificate(bytes));
    const roots = ca.map((pem) => new X509Certificate(pem));
    if (own !== undefined && isIssued(new X509Certificate(own), between, roots, now, longestChain))
      return certificate;
  } catch (error) {
    return `the certificates cannot be read: ${(error as Error).message}`;
  }
  return "no chain leads from the operator's certificate to --operator-ca";
}

function isIssued(
  certificate: X509Certificate,
  between: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  now: number,
  steps: number,
): boolean {
  const signs = (issuer: X509Certificate): boolean =>
    issuer.ca &&
    Date.parse(issuer.validFrom) <= now &&
    now < Date.parse(issuer.validTo) &&
    certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey);
  if (roots.some(signs)) return true;
  return (
    steps > 0 && between.some((issuer) => signs(issuer) && isIssued(issuer, between, roots, now, steps - 1))
  );
}
