import { createHash } from 'node:crypto';
import { CertificateError } from '../certificate-error.js';
import { DerReader, encoding } from '../der/der-reader.js';
import { Tag } from '../der/tag.js';
import { type DistinguishedName, parseName } from '../name/distinguished-name.js';
import { formatName } from '../name/format-name.js';
import { type AlternativeName, parseAlternativeNames } from './alternative-names.js';
import { Oid } from './extension-oids.js';
import { readTime } from './parse-time.js';

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

const maxSerialOctets = 20;
const versionTag = 0xa0;
const extensionsTag = 0xa3;
const version3 = 2;

/**
 * Parses a certificate from DER. Strict: an encoding that is not DER, an extension that occurs twice or bytes that
 * follow are errors, since another program could read such a certificate differently. Throws a CertificateError.
 */
export function parseCertificate(bytes: Uint8Array): Certificate {
  const what = 'the certificate';
  const outer = new DerReader(bytes);
  const reader = outer.inside(Tag.Sequence, what);
  outer.end(what);
  const signed = reader.inside(Tag.Sequence, what);
  const algorithm = reader.value(Tag.Sequence, 'the signature algorithm');
  reader.value(Tag.BitString, 'the signature');
  reader.end(what);

  readVersion(signed);
  const serial = readSerial(signed);
  if (Buffer.compare(signed.value(Tag.Sequence, 'the signature algorithm').whole, algorithm.whole) !== 0)
    throw new CertificateError('encoding', 'the certificate names two signature algorithms');
  const issuer = parseName(signed.value(Tag.Sequence, 'the issuer').content, 'the issuer');
  const validity = signed.inside(Tag.Sequence, 'the validity');
  const notBefore = readTime(validity, 'the begin of the validity');
  const notAfter = readTime(validity, 'the end of the validity');
  validity.end('the validity');
  const subject = parseName(signed.value(Tag.Sequence, 'the subject').content, 'the subject');
  const publicKey = signed.value(Tag.Sequence, 'the public key').whole;
  const extensions = readExtensions(signed);
  signed.end(what);

  const names = extensions.get(Oid.SubjectAltName);
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
    alternativeNames: names === undefined ? [] : parseAlternativeNames(names),
    extendedKeyUsage: usages === undefined ? undefined : parseUsages(usages),
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

function readSerial(reader: DerReader): string {
  const { content } = reader.value(Tag.Integer, 'the serial number');
  const [first = 0, second = 0] = content;
  if (content.length === 0 || (content.length > 1 && first === 0 && second < 0x80))
    throw encoding('the serial number', 'it is not in its shortest form');
  if (first >= 0x80 || content.every((octet) => octet === 0))
    throw new CertificateError('encoding', 'the serial number is not positive');
  if (content.length > maxSerialOctets)
    throw new CertificateError('encoding', `the serial number has more than ${maxSerialOctets} octets`);
  return canonicalSerial(Buffer.from(content).toString('hex'));
}

/** Returns a serial number in hex without leading zeros. */
export function canonicalSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '');
}

/** Returns the values of the extensions by object identifier. Unique identifiers, which precede them, are refused. */
function readExtensions(reader: DerReader): ReadonlyMap<string, Uint8Array> {
  const extensions = new Map<string, Uint8Array>();
  const field = reader.optional(extensionsTag, 'the extensions');
  if (field === undefined) return extensions;
  const outer = new DerReader(field.content);
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
    extensions.set(oid, content);
  }
  return extensions;
}

function parseUsages(content: Uint8Array): readonly string[] {
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
