import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { certificatePem, certificatesOfPem, parseCertificate, revocationListsOfPem } from '@kata-agent/x509';

/** The CAs of operators and their revocation lists, each as PEM. */
export interface OperatorCa {
  readonly ca: readonly string[];
  readonly crl: readonly string[];
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
  if (crlText === undefined) return { ca, crl: [] };
  const crl = read('--operator-crl', () => revocationListsOfPem(crlText));
  if (crl.length === 0) throw new Error('--operator-crl has no PEM certificate revocation list');
  for (const [index, list] of crl.entries())
    read(`list ${index + 1} of --operator-crl`, () => createSecureContext({ crl: list }));
  return { ca, crl };
}

function read<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(`${what} is not valid: ${(error as Error).message}`, { cause: error });
  }
}
