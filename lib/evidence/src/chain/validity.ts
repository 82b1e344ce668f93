import type { ChainCertificate } from './chain-certificate.js';

/** Returns which certificate is not valid at a time, in milliseconds of the epoch; undefined if all are. */
export function validityFault(certificates: readonly ChainCertificate[], at: number): string | undefined {
  for (const { commonName, notBefore, notAfter } of certificates) {
    if (at < notBefore) return `the certificate ${commonName} is not valid before ${dateText(notBefore)}`;
    if (at > notAfter) return `the certificate ${commonName} is not valid after ${dateText(notAfter)}`;
  }
  return undefined;
}

export function dateText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('.000Z', 'Z');
}
