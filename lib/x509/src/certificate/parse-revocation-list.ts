import { CertificateError } from '../certificate-error.js';
import { DerReader } from '../der/der-reader.js';
import { Tag } from '../der/tag.js';
import { formatName, parseWholeName } from '../name/distinguished-name.js';
import { canonicalSerial, readExtensions, readSigned, readTime } from './certificate-fields.js';

/** What a certificate revocation list revokes. */
export interface RevocationList {
  /** RFC 4514 text. */
  readonly issuerText: string;
  /** In hex, without leading zeros. */
  readonly serials: ReadonlySet<string>;
}

/** A certificate revocation list with what is needed to verify it. No signature is verified. */
export interface RevocationListFields extends RevocationList {
  /** The TBSCertList: the bytes that the signature covers. */
  readonly signed: Uint8Array;
  /** The AlgorithmIdentifier of the signature. */
  readonly algorithm: Uint8Array;
  readonly signature: Uint8Array;
  /** A Name. */
  readonly issuer: Uint8Array;
  /** Milliseconds of the epoch. */
  readonly thisUpdate: number;
  /** Milliseconds of the epoch; undefined if the list does not say it. */
  readonly nextUpdate: number | undefined;
  /** Object identifiers of the critical extensions, of the list and of its entries. */
  readonly criticalExtensions: ReadonlySet<string>;
}

const extensionsTag = 0xa0;

/**
 * Parses a certificate revocation list (RFC 5280) from DER. No signature and no time is verified: for lists that their reader
 * has verified otherwise. Throws a CertificateError.
 */
export function parseRevocationList(bytes: Uint8Array): RevocationList {
  const { issuerText, serials } = parseRevocationListFields(bytes);
  return { issuerText, serials };
}

/** Reads the fields of a certificate revocation list (RFC 5280) from DER. Throws a CertificateError. */
export function parseRevocationListFields(bytes: Uint8Array): RevocationListFields {
  const what = 'the revocation list';
  const { signed, content, algorithm, signature } = readSigned(bytes, what);
  const fields = new DerReader(content);
  fields.optional(Tag.Integer, 'the version');
  if (Buffer.compare(fields.value(Tag.Sequence, 'the signature algorithm').whole, algorithm) !== 0)
    throw new CertificateError('encoding', `${what} names two signature algorithms`);
  const issuer = fields.value(Tag.Sequence, 'the issuer').whole;
  const thisUpdate = readTime(fields, 'the time of this update');
  const nextUpdate = isTime(fields.next) ? readTime(fields, 'the time of the next update') : undefined;
  const critical = new Set<string>();
  const serials = readEntries(fields.optional(Tag.Sequence, 'the revoked certificates')?.content, critical);
  addCritical(fields.optional(extensionsTag, 'the extensions')?.content, critical);
  fields.end(what);
  const issuerText = formatName(parseWholeName(issuer, 'the issuer'));
  return {
    signed,
    algorithm,
    signature,
    issuer,
    issuerText,
    thisUpdate,
    nextUpdate,
    serials,
    criticalExtensions: critical,
  };
}

function readEntries(content: Uint8Array | undefined, critical: Set<string>): ReadonlySet<string> {
  const serials = new Set<string>();
  const entries = new DerReader(content ?? new Uint8Array());
  while (entries.next !== undefined) {
    const entry = entries.inside(Tag.Sequence, 'a revoked certificate');
    const serial = entry.value(Tag.Integer, 'a serial number').content;
    serials.add(canonicalSerial(Buffer.from(serial).toString('hex')));
    readTime(entry, 'the time of a revocation');
    addCritical(entry.optional(Tag.Sequence, 'the extensions of an entry')?.whole, critical);
    entry.end('a revoked certificate');
  }
  return serials;
}

function addCritical(content: Uint8Array | undefined, critical: Set<string>): void {
  for (const [oid, extension] of readExtensions(content)) if (extension.critical) critical.add(oid);
}

function isTime(tag: number | undefined): boolean {
  return tag === Tag.UtcTime || tag === Tag.GeneralizedTime;
}
