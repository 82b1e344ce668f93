import { createHash } from 'node:crypto';
import {
  type CertificateFields,
  certificatePem,
  commonNames,
  DerReader,
  parseCertificateFields,
  parseWholeName,
  Tag,
} from '@kata-agent/x509';
import { equalBytes } from '../byte-reader.js';
import { EvidenceFormError } from '../evidence-error.js';
import type { SignatureScheme } from './signature-scheme.js';

const block = /-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+)-----END CERTIFICATE-----\n/g;

/** A certificate of a vendor's chain. */
export interface ChainCertificate extends CertificateFields {
  readonly commonName: string;
  /** SHA-256 of the public key (SubjectPublicKeyInfo), in hex. */
  readonly spki: string;
  /** Whether its constraints make it an authority. */
  readonly authority: boolean;
  /** How many authorities may be between it and the certificate at the end of a chain; undefined: any number. */
  readonly pathLength: number | undefined;
  /** The first octet of its key usage; zero without the extension. */
  readonly usage: number;
}

const basicConstraints = '2.5.29.19';
const keyUsage = '2.5.29.15';
const understood: ReadonlySet<string> = new Set([basicConstraints, keyUsage]);
/** Bits of the first octet of KeyUsage. */
const Usage = { certificates: 0x04, revocationLists: 0x02 } as const;

/** Parses a certificate from DER. Throws an EvidenceFormError. */
export function parseChainCertificate(bytes: Uint8Array): ChainCertificate {
  try {
    const fields = parseCertificateFields(bytes);
    parseWholeName(fields.issuer, 'the issuer');
    const [commonName, ...others] = commonNames(parseWholeName(fields.subject, 'the subject'));
    if (commonName === undefined || others.length > 0)
      throw new EvidenceFormError('the subject does not have exactly one common name');
    const spki = createHash('sha256').update(fields.publicKey).digest('hex');
    const constraints = readConstraints(fields.extensions.get(basicConstraints)?.value);
    const usage = readUsage(fields.extensions.get(keyUsage)?.value);
    return { ...fields, commonName, spki, ...constraints, usage };
  } catch (error) {
    throw new EvidenceFormError(`the certificate cannot be read: ${(error as Error).message}`);
  }
}

/** Returns why a certificate is not one that the other issued; undefined if it is. */
export function issuanceFault(
  subject: ChainCertificate,
  issuer: ChainCertificate,
  scheme: SignatureScheme,
  alsoUnderstood: ReadonlySet<string> = new Set(),
): string | undefined {
  const names = `the certificate ${subject.commonName} by ${issuer.commonName}`;
  if (!equalBytes(subject.issuer, issuer.subject)) return `${names}: it names another issuer`;
  if (!mayIssue(issuer, 'certificates')) return `${names}: the issuer may not issue certificates`;
  for (const [oid, { critical }] of subject.extensions)
    if (critical && !understood.has(oid) && !alsoUnderstood.has(oid))
      return `${names}: it has an unknown critical extension ${oid}`;
  if (!scheme.names(subject.algorithm)) return `${names}: its signature is not ${scheme.name}`;
  const key = scheme.signingKey(issuer.publicKey);
  if (key === undefined) return `${names}: the key of the issuer is not one of ${scheme.name}`;
  return scheme.verify(subject.signed, subject.signature, key)
    ? undefined
    : `${names}: its signature is wrong`;
}

/** Reports whether a certificate is one of an authority for certificates or revocation lists. */
export function mayIssue(issuer: ChainCertificate, what: keyof typeof Usage): boolean {
  return issuer.authority && (issuer.usage & Usage[what]) !== 0;
}

/** Reads the value of basicConstraints. */
function readConstraints(value: Uint8Array | undefined): Pick<ChainCertificate, 'authority' | 'pathLength'> {
  const what = 'the basic constraints';
  if (value === undefined) return { authority: false, pathLength: undefined };
  const outer = new DerReader(value);
  const constraints = outer.inside(Tag.Sequence, what);
  outer.end(what);
  const authority = constraints.optional(Tag.Boolean, what)?.content[0] === 0xff;
  const length = constraints.optional(Tag.Integer, what)?.content;
  // A length that is not one small octet is taken as none: fewer chains fit.
  return { authority, pathLength: length && (length.length === 1 ? (length[0] ?? 0) & 0x7f : 0) };
}

/** Reads the first octet of the value of keyUsage. */
function readUsage(value: Uint8Array | undefined): number {
  if (value === undefined) return 0;
  const outer = new DerReader(value);
  const { content } = outer.value(Tag.BitString, 'the key usage');
  outer.end('the key usage');
  return content[1] ?? 0;
}

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
