import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import {
  type Certificate,
  certificatePem,
  certificatesOfPem,
  parseCertificate,
  parseRevocationList,
  revocationListsOfPem,
} from '@kata-agent/x509';

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
