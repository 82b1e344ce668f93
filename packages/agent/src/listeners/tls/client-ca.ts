import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import {
  CertificateError,
  certificatePem,
  certificatesOfPem,
  parseCertificate,
  revocationListsOfPem,
} from '@kata-agent/x509';

/** A `client_ca` or `client_crl` that cannot be used. */
export class TlsSettingError extends Error {
  readonly setting: 'client_ca' | 'client_crl';
  readonly help: string;

  constructor(setting: 'client_ca' | 'client_crl', why: string, help: string) {
    super(`${setting} ${why}`);
    this.name = 'TlsSettingError';
    this.setting = setting;
    this.help = help;
  }
}

/**
 * Returns each certificate of `client_ca` as PEM. Several are valid, for a rotation. Throws a TlsSettingError, also for no
 * certificate at all: without one Node.js would trust all CAs of the web.
 */
export function readClientCas(texts: readonly string[]): readonly string[] {
  const found = texts.flatMap((text) => {
    const certificates = certificatesOfPem(text);
    if (certificates.length === 0) {
      const why = 'contains no PEM certificate';
      throw new TlsSettingError('client_ca', why, 'it must contain -----BEGIN CERTIFICATE-----');
    }
    return certificates;
  });
  if (found.length === 0) throw new TlsSettingError('client_ca', 'is empty', 'name the CA of the clients');
  return found.map((bytes, index) => checkedCa(bytes, `certificate ${index + 1}`));
}

function checkedCa(bytes: Uint8Array, which: string): string {
  try {
    parseCertificate(bytes);
    const certificate = new X509Certificate(bytes);
    if (certificate.ca) return certificatePem(bytes);
  } catch (error) {
    const why = error instanceof CertificateError ? error.message : 'OpenSSL cannot read it';
    throw new TlsSettingError('client_ca', `${which}: ${why}`, 'replace the certificate');
  }
  throw new TlsSettingError(
    'client_ca',
    `${which} is not that of a CA`,
    'use the certificate of the CA that signs the clients, with basicConstraints CA:TRUE',
  );
}

/**
 * Returns each list of `client_crl` as PEM: of several in one text Node.js would read the first alone. Throws a
 * TlsSettingError.
 */
export function readClientCrls(texts: readonly string[]): readonly string[] {
  const wrong = (why: string): TlsSettingError =>
    new TlsSettingError('client_crl', why, 'it must contain -----BEGIN X509 CRL-----');
  return texts.flatMap((text) => {
    const lists = revocationListsOfPem(text);
    if (lists.length === 0) throw wrong('contains no PEM certificate revocation list');
    for (const [index, list] of lists.entries())
      if (!isReadable(list)) throw wrong(`list ${index + 1} is not valid`);
    return lists;
  });
}

function isReadable(crl: string): boolean {
  try {
    createSecureContext({ crl });
    return true;
  } catch {
    return false;
  }
}
