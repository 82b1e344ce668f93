import { createHash } from 'node:crypto';
import { CertificateError } from '../certificate-error.js';
import { DerReader } from '../der/der-reader.js';
import { Tag } from '../der/tag.js';
import { type DistinguishedName, formatName, parseWholeName } from '../name/distinguished-name.js';
import { type AlternativeName, parseAlternativeNames } from './alternative-names.js';
import { Oid, parseCertificateFields } from './certificate-fields.js';

/** Names are part of records, of messages and of what rules see: those of one certificate have no more characters together. */
const maxNames = 4096;

/** A parsed X.509 certificate of version 3. No signature is verified. */
export interface Certificate {
  /** In hex, without leading zeros. */
  readonly serial: string;
  readonly issuer: DistinguishedName;
  /** RFC 4514 text. */
  readonly issuerText: string;
  readonly subject: DistinguishedName;
  readonly subjectText: string;
  /** Milliseconds of the epoch. */
  readonly notBefore: number;
  /** Milliseconds of the epoch. */
  readonly notAfter: number;
  /** SHA-256 of the public key (SubjectPublicKeyInfo), in hex. */
  readonly spki: string;
  /** SHA-256 of the certificate, in hex. */
  readonly fingerprint: string;
  readonly alternativeNames: readonly AlternativeName[];
  /** Object identifiers; undefined without the extension. */
  readonly extendedKeyUsage: readonly string[] | undefined;
}

/**
 * Parses a certificate from DER. Strict: an encoding that is not DER, an extension that occurs twice or bytes that
 * follow are errors, since another program could read such a certificate differently. Throws a CertificateError.
 */
export function parseCertificate(bytes: Uint8Array): Certificate {
  const { serial, notBefore, notAfter, publicKey, extensions, ...names } = parseCertificateFields(bytes);
  if (serial === '0') throw new CertificateError('encoding', 'the serial number is not positive');
  const issuer = parseWholeName(names.issuer, 'the issuer');
  const subject = parseWholeName(names.subject, 'the subject');
  const alternatives = extensions.get(Oid.SubjectAltName);
  const usages = extensions.get(Oid.ExtendedKeyUsage);
  return {
    serial,
    issuer,
    issuerText: formatName(issuer),
    subject,
    subjectText: formatName(subject),
    notBefore,
    notAfter,
    spki: sha256(publicKey),
    fingerprint: sha256(bytes),
    alternativeNames: alternatives === undefined ? [] : parseAlternativeNames(alternatives.value),
    extendedKeyUsage: usages === undefined ? undefined : parseUsages(usages.value),
  };
}

/** Parses the value of the extension extKeyUsage. Throws a CertificateError. */
export function parseUsages(content: Uint8Array): readonly string[] {
  const what = 'the extended key usage';
  const outer = new DerReader(content);
  const reader = outer.inside(Tag.Sequence, what);
  outer.end(what);
  const usages: string[] = [];
  while (reader.next !== undefined) usages.push(reader.objectIdentifier(what));
  if (usages.length === 0) throw new CertificateError('extension', `${what} is empty`);
  return usages;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Parses a certificate of the other end; returns the fault of one that is not accepted, whatever signed it. */
export function readCertificate(bytes: Uint8Array): Certificate | string {
  let certificate: Certificate;
  try {
    certificate = parseCertificate(bytes);
  } catch (error) {
    // Any error refuses the other end, also one of ours: it must not end the process.
    return (error as Error).message;
  }
  const names = namesLength(certificate);
  return names > maxNames
    ? `its names have ${names} characters; at most ${maxNames} are accepted`
    : certificate;
}

function namesLength({ subjectText, alternativeNames }: Certificate): number {
  return alternativeNames.reduce((sum, { value }) => sum + value.length, subjectText.length);
}
