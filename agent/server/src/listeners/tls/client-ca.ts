import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import {
  CertificateError,
  certificatePem,
  certificatesOfPem,
  PemError,
  parseCertificate,
  revocationListsOfPem,
} from '@kata-agent/x509';

/** A key of `tls` with certificates or lists. */
type TlsPem = 'client_ca' | 'client_crl' | 'server_ca' | 'ca';

/** A PEM text of `tls` that cannot be used. */
export class TlsSettingError extends Error {
  readonly setting: TlsPem;
  readonly help: string;

  constructor(setting: TlsPem, why: string, help: string) {
    super(`${setting} ${why}`);
    this.name = 'TlsSettingError';
    this.setting = setting;
    this.help = help;
  }
}

/**
 * Returns each certificate of a CA setting as PEM. Several are valid, for a rotation. Throws a TlsSettingError, also for no
 * certificate at all: without one Node.js would trust all CAs of the web.
 */
export function readCas(setting: Exclude<TlsPem, 'client_crl'>, texts: readonly string[]): readonly string[] {
  const found = texts.flatMap((text) => {
    const certificates = blocksOf(setting, () => certificatesOfPem(text));
    if (certificates.length === 0) {
      const why = 'contains no PEM certificate';
      throw new TlsSettingError(setting, why, 'it must contain -----BEGIN CERTIFICATE-----');
    }
    return certificates;
  });
  if (found.length === 0) throw new TlsSettingError(setting, 'is empty', 'name the CA');
  return found.map((bytes, index) => checkedCa(setting, bytes, `certificate ${index + 1}`));
}

function blocksOf<T>(setting: TlsSettingError['setting'], read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PemError)) throw error;
    throw new TlsSettingError(
      setting,
      `is not valid: ${error.message}`,
      'remove what is not part of a block',
    );
  }
}

function checkedCa(setting: TlsPem, bytes: Uint8Array, which: string): string {
  try {
    parseCertificate(bytes);
    const certificate = new X509Certificate(bytes);
    if (certificate.ca) return certificatePem(bytes);
  } catch (error) {
    const why = error instanceof CertificateError ? error.message : 'OpenSSL cannot read it';
    throw new TlsSettingError(setting, `${which}: ${why}`, 'replace the certificate');
  }
  throw new TlsSettingError(
    setting,
    `${which} is not that of a CA`,
    'use the certificate of the CA that signs the other end, with basicConstraints CA:TRUE',
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
    const lists = blocksOf('client_crl', () => revocationListsOfPem(text));
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
