import { DerReader } from '../der/der-reader.js';
import { Tag } from '../der/tag.js';
import { parseName } from '../name/distinguished-name.js';
import { formatName } from '../name/format-name.js';
import { canonicalSerial } from './parse-certificate.js';

/** What a certificate revocation list revokes. */
export interface RevocationList {
  /** RFC 4514 text. */
  readonly issuerText: string;
  /** In hex, without leading zeros. */
  readonly serials: ReadonlySet<string>;
}

/**
 * Parses a certificate revocation list (RFC 5280) from DER. No signature and no time is verified: for lists that their reader
 * has verified otherwise. Throws a CertificateError.
 */
export function parseRevocationList(bytes: Uint8Array): RevocationList {
  const what = 'the revocation list';
  const outer = new DerReader(bytes);
  const reader = outer.inside(Tag.Sequence, what);
  outer.end(what);
  const signed = reader.inside(Tag.Sequence, what);
  signed.optional(Tag.Integer, 'the version');
  signed.value(Tag.Sequence, 'the signature algorithm');
  const issuer = parseName(signed.value(Tag.Sequence, 'the issuer').content, 'the issuer');
  while (signed.next === Tag.UtcTime || signed.next === Tag.GeneralizedTime) signed.any('a time');
  const serials = new Set<string>();
  const list = signed.optional(Tag.Sequence, 'the revoked certificates');
  const entries = new DerReader(list?.content ?? new Uint8Array());
  while (entries.next !== undefined) {
    const entry = entries.inside(Tag.Sequence, 'a revoked certificate');
    const { content } = entry.value(Tag.Integer, 'a serial number');
    serials.add(canonicalSerial(Buffer.from(content).toString('hex')));
  }
  return { issuerText: formatName(issuer), serials };
}
