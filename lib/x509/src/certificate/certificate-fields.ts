import { CertificateError } from '../certificate-error.js';
import { DerReader, encoding } from '../der/der-reader.js';
import { Tag } from '../der/tag.js';

/** Object identifiers of certificate extensions and of usages. */
export const Oid = {
  KeyUsage: '2.5.29.15',
  SubjectAltName: '2.5.29.17',
  BasicConstraints: '2.5.29.19',
  ExtendedKeyUsage: '2.5.29.37',
  ServerAuth: '1.3.6.1.5.5.7.3.1',
  ClientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** The value of an extension in DER. */
export interface ExtensionField {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** The fields of an X.509 certificate of version 3, encoded as they were signed. No signature is verified. */
export interface CertificateFields {
  /** The TBSCertificate: the bytes that the signature covers. */
  readonly signed: Uint8Array;
  /** The AlgorithmIdentifier of the signature. */
  readonly algorithm: Uint8Array;
  readonly signature: Uint8Array;
  /** In hex, without leading zeros. */
  readonly serial: string;
  /** A Name. */
  readonly issuer: Uint8Array;
  /** A Name. */
  readonly subject: Uint8Array;
  /** Milliseconds of the epoch. */
  readonly notBefore: number;
  /** Milliseconds of the epoch. */
  readonly notAfter: number;
  /** The SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  /** By object identifier. */
  readonly extensions: ReadonlyMap<string, ExtensionField>;
}

const maxSerialOctets = 20;
const versionTag = 0xa0;
const extensionsTag = 0xa3;
const version3 = 2;

/** The parts of what an issuer has signed: a certificate, or a revocation list. */
interface Signed {
  /** The signed bytes, and what is in them. */
  readonly signed: Uint8Array;
  readonly content: Uint8Array;
  /** As encoded. */
  readonly algorithm: Uint8Array;
  readonly signature: Uint8Array;
}

/** Reads the outer parts (RFC 5280, 4.1 and 5.1). Throws a CertificateError, also for bytes that follow. */
export function readSigned(bytes: Uint8Array, what: string): Signed {
  const outer = new DerReader(bytes);
  const reader = outer.inside(Tag.Sequence, what);
  outer.end(what);
  const { whole: signed, content } = reader.value(Tag.Sequence, what);
  const algorithm = reader.value(Tag.Sequence, 'the signature algorithm').whole;
  const signature = wholeOctets(reader.value(Tag.BitString, 'the signature').content, 'the signature');
  reader.end(what);
  return { signed, content, algorithm, signature };
}

/**
 * Reads the fields of a certificate. Strict: an encoding that is not DER, an extension that occurs twice or bytes that
 * follow are errors, since another program could read such a certificate differently. Throws a CertificateError.
 */
export function parseCertificateFields(bytes: Uint8Array): CertificateFields {
  const what = 'the certificate';
  const { signed, content, algorithm, signature } = readSigned(bytes, what);
  const fields = new DerReader(content);
  readVersion(fields);
  const serial = readSerial(fields);
  if (Buffer.compare(fields.value(Tag.Sequence, 'the signature algorithm').whole, algorithm) !== 0)
    throw new CertificateError('encoding', 'the certificate names two signature algorithms');
  const issuer = fields.value(Tag.Sequence, 'the issuer').whole;
  const validity = fields.inside(Tag.Sequence, 'the validity');
  const notBefore = readTime(validity, 'the begin of the validity');
  const notAfter = readTime(validity, 'the end of the validity');
  validity.end('the validity');
  const subject = fields.value(Tag.Sequence, 'the subject').whole;
  const publicKey = fields.value(Tag.Sequence, 'the public key').whole;
  // Unique identifiers, which would precede the extensions, are refused.
  const extensions = readExtensions(fields.optional(extensionsTag, 'the extensions')?.content);
  fields.end(what);
  return {
    signed,
    algorithm,
    signature,
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
    extensions,
  };
}

function readVersion(reader: DerReader): void {
  const version = reader.optional(versionTag, 'the version');
  const number = version === undefined ? undefined : new DerReader(version.content);
  const { content } = number?.value(Tag.Integer, 'the version') ?? { content: new Uint8Array() };
  number?.end('the version');
  if (content.length !== 1 || content[0] !== version3)
    throw new CertificateError('version', 'the certificate is not of version 3');
}

/** Reads a serial number. Zero is accepted here: all of AMD's certificates of chips have it. */
function readSerial(reader: DerReader): string {
  const { content } = reader.value(Tag.Integer, 'the serial number');
  const [first = 0, second = 0] = content;
  if (content.length === 0 || (content.length > 1 && first === 0 && second < 0x80))
    throw encoding('the serial number', 'it is not in its shortest form');
  if (first >= 0x80) throw new CertificateError('encoding', 'the serial number is not positive');
  if (content.length > maxSerialOctets + (first === 0 ? 1 : 0))
    throw new CertificateError('encoding', `the serial number has more than ${maxSerialOctets} octets`);
  return canonicalSerial(Buffer.from(content).toString('hex'));
}

/** Returns a serial number in hex without leading zeros. */
export function canonicalSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '');
}

/** Returns the extensions of the content of an `[n] Extensions` field. */
export function readExtensions(content: Uint8Array | undefined): ReadonlyMap<string, ExtensionField> {
  const extensions = new Map<string, ExtensionField>();
  if (content === undefined) return extensions;
  const outer = new DerReader(content);
  const list = outer.inside(Tag.Sequence, 'the extensions');
  outer.end('the extensions');
  while (list.next !== undefined) {
    const extension = list.inside(Tag.Sequence, 'an extension');
    const oid = extension.objectIdentifier('an extension');
    const critical = extension.optional(Tag.Boolean, 'an extension');
    // The default, false, is not written in DER.
    if (critical !== undefined && (critical.content.length !== 1 || critical.content[0] !== 0xff))
      throw encoding(`extension ${oid}`, 'critical is not true');
    const { content } = extension.value(Tag.OctetString, `extension ${oid}`);
    extension.end(`extension ${oid}`);
    if (extensions.has(oid)) throw new CertificateError('extension', `extension ${oid} occurs twice`);
    extensions.set(oid, { critical: critical !== undefined, value: content });
  }
  return extensions;
}

/** Returns the octets of a bit string that must have whole octets. */
function wholeOctets(content: Uint8Array, what: string): Uint8Array {
  if (content[0] !== 0) throw encoding(what, 'it does not have whole octets');
  return content.subarray(1);
}

/** Reads a UTCTime or GeneralizedTime with seconds and in UTC, as RFC 5280 demands; returns milliseconds of the epoch. */
export function readTime(reader: DerReader, what: string): number {
  const { tag, content } = reader.any(what);
  const text = Buffer.from(content).toString('latin1');
  const digits = tag === Tag.UtcTime ? `${utcCentury(text)}${text}` : text;
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits);
  if (match === null || (tag !== Tag.UtcTime && tag !== Tag.GeneralizedTime))
    throw new CertificateError('time', `${what} is not a valid time`);
  const [, year, month, day, hour, minute, second] = match;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const milliseconds = Date.parse(iso);
  // Date.parse takes 31 February for 3 March.
  if (Number.isNaN(milliseconds) || new Date(milliseconds).toISOString() !== iso)
    throw new CertificateError('time', `${what} is not a valid time: ${text}`);
  return milliseconds;
}

/** RFC 5280, 4.1.2.5.1: 50 to 99 are of the last century. */
function utcCentury(text: string): string {
  return Number(text.slice(0, 2)) >= 50 ? '19' : '20';
}
