import { CertificateError } from '../certificate-error.js';
import { DerReader, encoding } from '../der/der-reader.js';
import { Tag } from '../der/tag.js';

/** What would end a word, or does not show where it ends. */
const separator = /[\s\p{C}\p{Z}]/u;

/** The attribute types that have a short name in text (RFC 4514, section 3). */
export const attributeTypes: Readonly<Record<string, string>> = {
  CN: '2.5.4.3',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  C: '2.5.4.6',
  STREET: '2.5.4.9',
  DC: '0.9.2342.19200300.100.1.25',
  UID: '0.9.2342.19200300.100.1.1',
};

const shortNames: ReadonlyMap<string, string> = new Map(
  Object.entries(attributeTypes).map(([name, oid]) => [oid, name]),
);

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

/**
 * Returns a name as RFC 4514 text, in one form: the last part first, attributes of one part in order of their text,
 * characters escaped by a backslash only where that is necessary. A type without a short name is its object identifier,
 * and its value then the encoding in hex.
 */
export function formatName(name: DistinguishedName): string {
  return name
    .map((attributes) => joinAttributes(attributes.map(formatAttribute)))
    .reverse()
    .join(',');
}

/** Joins the attributes of one part in the order that both formatting and parsing use. */
export function joinAttributes(texts: readonly string[]): string {
  return [...texts].sort().join('+');
}

export function escapeValue(text: string): string {
  return text.replace(/["+,;<>\\]|^[ #]| $/g, (character) => `\\${character}`);
}

function formatAttribute({ oid, text, whole }: Attribute): string {
  const name = shortName(oid);
  if (name !== undefined && text !== undefined) return `${name}=${escapeValue(text)}`;
  return `${name ?? oid}=#${Buffer.from(whole).toString('hex')}`;
}

/** Returns the short name of an attribute type; undefined if it has none. */
function shortName(oid: string): string | undefined {
  return shortNames.get(oid);
}

/**
 * Returns the text of a string in a name; undefined for a type without a reliable character set (TeletexString) and for
 * types that are not strings. Text that its type does not allow, and NUL and other control characters, are errors: a
 * program that stops reading at a NUL would see another name than this one.
 *
 * Texts of equal characters are equal strings, whatever type encodes them. They are not normalized: no folding of case,
 * of spaces or of Unicode forms.
 */
export function decodeText(tag: number, content: Uint8Array, what: string): string | undefined {
  const text = decode(tag, content);
  if (text === undefined) return undefined;
  if (text === null)
    throw new CertificateError('name', `${what} has characters that its type does not allow`);
  if (/\p{Cc}/u.test(text)) throw new CertificateError('name', `${what} contains a control character`);
  return text;
}

/** Returns null if the bytes are not valid, undefined for other types. */
function decode(tag: number, content: Uint8Array): string | null | undefined {
  switch (tag) {
    case Tag.Utf8String:
      return utf8(content);
    case Tag.PrintableString:
      return only(/^[A-Za-z0-9 '()+,\-./:=?]*$/, content);
    case Tag.NumericString:
      return only(/^[0-9 ]*$/, content);
    case Tag.Ia5String:
      return only(/^[\0-\x7f]*$/, content);
    case Tag.VisibleString:
      return only(/^[ -~]*$/, content);
    case Tag.BmpString:
      return codePoints(content, 2);
    case Tag.UniversalString:
      return codePoints(content, 4);
    default:
      return undefined;
  }
}

function utf8(content: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return null;
  }
}

function only(allowed: RegExp, content: Uint8Array): string | null {
  const text = Buffer.from(content).toString('latin1');
  return allowed.test(text) ? text : null;
}

/** Code points of a fixed width. Surrogates are no characters in either type. */
function codePoints(content: Uint8Array, width: 2 | 4): string | null {
  if (content.length % width !== 0) return null;
  const bytes = Buffer.from(content);
  let text = '';
  for (let at = 0; at < bytes.length; at += width) {
    const point = bytes.readUIntBE(at, width);
    if (point > 0x10_ffff || (point >= 0xd800 && point <= 0xdfff)) return null;
    text += String.fromCodePoint(point);
  }
  return text;
}

/**
 * Returns a name as one word, for texts where other words follow: a name with a space cannot pass for two of them. White space,
 * characters that do not show, and backslashes are pairs of hex digits, as in RFC 4514: `cn:Ann\20Smith`. Different names stay
 * different.
 */
export function oneWord(name: string): string {
  return name.replace(/[\\\s\p{C}\p{Z}]/gu, hexPairs);
}

/** As `oneWord`, of RFC 4514 text as `formatName` writes it: the result is text of the same name. */
export function subjectWord(subject: string): string {
  return subject.replace(/\\([^])|[\s\p{C}\p{Z}]/gu, (found, escaped: string = found) =>
    separator.test(escaped) ? hexPairs(escaped) : found,
  );
}

function hexPairs(text: string): string {
  return Buffer.from(text).toString('hex').replace(/../g, '\\$&');
}
