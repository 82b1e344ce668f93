import { certificatePem } from '@kata-agent/x509';
import { EvidenceFormError } from '../evidence-error.js';

const block = /-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+)-----END CERTIFICATE-----\n/g;

/**
 * Returns the certificates of a PEM text in its one canonical form: lines of 64 characters, no other text. Some quotes end it
 * with a NUL, and some without its last newline. Throws an EvidenceFormError.
 */
export function parsePemChain(bytes: Uint8Array, what: string): readonly Uint8Array[] {
  const raw = Buffer.from(bytes).toString('latin1');
  const text = `${raw.replace(/\0$/, '').replace(/\n$/, '')}\n`;
  const certificates = [...text.matchAll(block)].map(([, body = '']) => Buffer.from(body, 'base64'));
  if (certificates.length === 0 || certificates.map(certificatePem).join('') !== text)
    throw new EvidenceFormError(`${what} is not a text of PEM certificates`);
  return certificates;
}
