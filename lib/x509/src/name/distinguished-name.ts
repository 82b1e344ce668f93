import { CertificateError } from '../certificate-error.js';
import { DerReader, encoding } from '../der/der-reader.js';
import { Tag } from '../der/tag.js';
import { decodeText } from './decode-text.js';

/** One attribute of a name. */
export interface Attribute {
  readonly oid: string;
  /** The tag of the value. */
  readonly tag: number;
  /** The content of the value, without tag and length. */
  readonly value: Uint8Array;
  /** The value with tag and length. */
  readonly whole: Uint8Array;
  /** Undefined for types without reliable text. */
  readonly text?: string;
}

/** The attributes of a relative distinguished name; mostly one. */
type RelativeName = readonly Attribute[];

/** A name, in the order of its encoding. */
export type DistinguishedName = readonly RelativeName[];

const commonNameOid = '2.5.4.3';

/** Parses the content of a Name. Throws a CertificateError. */
function parseName(content: Uint8Array, what: string): DistinguishedName {
  const names: RelativeName[] = [];
  const reader = new DerReader(content);
  while (reader.next !== undefined) names.push(parseRelativeName(reader.inside(Tag.Set, what), what));
  return names;
}

/** Parses a Name with its tag and length. Throws a CertificateError. */
export function parseWholeName(whole: Uint8Array, what: string): DistinguishedName {
  const reader = new DerReader(whole);
  const { content } = reader.value(Tag.Sequence, what);
  reader.end(what);
  return parseName(content, what);
}

/** Returns every common name of a name; undefined for one without reliable text. */
export function commonNames(name: DistinguishedName): readonly (string | undefined)[] {
  return name
    .flat()
    .filter(({ oid }) => oid === commonNameOid)
    .map(({ text }) => text);
}

function parseRelativeName(reader: DerReader, what: string): RelativeName {
  const attributes: Attribute[] = [];
  let before: Uint8Array | undefined;
  while (reader.next !== undefined) {
    const pair = reader.value(Tag.Sequence, what);
    if (before !== undefined && Buffer.compare(before, pair.whole) >= 0)
      throw encoding(what, 'a set that is not in order');
    before = pair.whole;
    attributes.push(parseAttribute(new DerReader(pair.content), what));
  }
  if (attributes.length === 0) throw new CertificateError('name', `${what} has an empty part`);
  return attributes;
}

function parseAttribute(reader: DerReader, what: string): Attribute {
  const oid = reader.objectIdentifier(what);
  const { tag, content, whole } = reader.any(what);
  reader.end(what);
  const text = decodeText(tag, content, what);
  return { oid, tag, value: content, whole, ...(text === undefined ? {} : { text }) };
}
