import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import {
  type Certificate,
  certificatePem,
  certificatesOfPem,
  Oid,
  parseCertificate,
  parseRevocationList,
  pathFault,
  revocationListsOfPem,
  svidFault,
} from '@kata-agent/x509';
import { certificateOf } from './tls-acceptor.js';

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

/** Returns why a certificate that OpenSSL has verified is not accepted from an operator; undefined if it is. */
export function operatorFault(
  { notBefore, notAfter, extendedKeyUsage, ...rest }: Certificate,
  now: number,
): string | undefined {
  if (now < notBefore) return "the operator's certificate is not yet valid";
  if (now >= notAfter) return "the operator's certificate has expired";
  // OpenSSL accepts a certificate without this extension for any usage.
  if (extendedKeyUsage?.includes(Oid.ClientAuth) !== true)
    return "clientAuth is not among the usages of the operator's certificate";
  const fault = svidFault({ notBefore, notAfter, extendedKeyUsage, ...rest });
  return fault === undefined ? undefined : `the operator's certificate is not valid: ${fault}`;
}

/** The CAs of operators and their revocation lists, each as PEM. */
export interface OperatorCa {
  readonly ca: readonly string[];
  readonly crl: readonly string[];
  /** Reports whether one of the lists revokes a certificate. */
  readonly revokes: (certificate: Pick<Certificate, 'issuerText' | 'serial'>) => boolean;
}

/**
 * Reads the CAs of operators, and their revocation lists. Throws an Error that names the option, also for no certificate at
 * all: without one Node.js would trust all CAs of the web.
 */
export function readOperatorCa(caText: string, crlText: string | undefined): OperatorCa {
  const certificates = read('--operator-ca', () => certificatesOfPem(caText));
  if (certificates.length === 0) throw new Error('--operator-ca has no PEM certificate');
  const ca = certificates.map((bytes, index) => {
    const which = `certificate ${index + 1} of --operator-ca`;
    return read(which, () => {
      parseCertificate(bytes);
      if (!new X509Certificate(bytes).ca) throw new Error('it is not that of a CA');
      return certificatePem(bytes);
    });
  });
  if (crlText === undefined) return { ca, crl: [], revokes: () => false };
  const crl = read('--operator-crl', () => revocationListsOfPem(crlText));
  if (crl.length === 0) throw new Error('--operator-crl has no PEM certificate revocation list');
  const lists = crl.map((list, index) =>
    read(`list ${index + 1} of --operator-crl`, () => {
      createSecureContext({ crl: list });
      return parseRevocationList(derOf(list));
    }),
  );
  const revokes: OperatorCa['revokes'] = ({ issuerText, serial }) =>
    lists.some((list) => list.issuerText === issuerText && list.serials.has(serial));
  return { ca, crl, revokes };
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replaceAll(/-----[^-]+-----/g, ''), 'base64');
}

function read<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(`${what} is not valid: ${(error as Error).message}`, { cause: error });
  }
}
