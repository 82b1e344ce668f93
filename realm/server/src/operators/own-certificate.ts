import {
  canonicalName,
  canonicalSerial,
  CertificateError,
  certificatesOfPem,
  NameSyntaxError,
  namesPeer,
  parseCertificate,
  PeerEntryError,
  parsePeerEntry,
} from '@kata-agent/x509';

/** What RevokePeer names; what it does not name is empty. */
interface Named {
  readonly peer?: string;
  readonly serial?: string;
  readonly issuer?: string;
}

/**
 * Reports whether a revocation names the certificate of the realm: a guest that obeys it loses its only connection, and a
 * realm that says it again to each guest has lost all of them.
 *
 * @param pem The realm's certificate, and those of intermediate CAs.
 */
export function revokesRealm({ peer = '', serial = '', issuer = '' }: Named, pem: string): boolean {
  try {
    const [bytes] = certificatesOfPem(pem);
    if (bytes === undefined) return false;
    const certificate = parseCertificate(bytes);
    return peer === ''
      ? canonicalSerial(serial) === certificate.serial && canonicalName(issuer) === certificate.issuerText
      : namesPeer(parsePeerEntry(peer), certificate);
  } catch (error) {
    // A guest accepts neither such a certificate nor such a revocation.
    if ([CertificateError, NameSyntaxError, PeerEntryError].some((kind) => error instanceof kind))
      return false;
    throw error;
  }
}
