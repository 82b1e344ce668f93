import { shortName } from './attribute-types.js';
import type { Attribute, DistinguishedName } from './distinguished-name.js';

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
