import { CertificateError } from '../certificate-error.js';
import { attributeTypes, decodeText, escapeValue, joinAttributes } from './distinguished-name.js';

/** RFC 4514 text that is not valid. */
export class NameSyntaxError extends Error {}

/** Of a name; longer ones would cost time. */
const longest = 4096;

/**
 * Parses RFC 4514 text and returns it in the form of formatName, so that equal names are equal strings. Throws a
 * NameSyntaxError.
 */
export function canonicalName(text: string): string {
  if (text.length > longest) throw new NameSyntaxError(`it has more than ${longest} characters`);
  if (/\p{Cc}/u.test(text)) throw new NameSyntaxError('it contains a control character');
  return split(text, ',')
    .map((part) => joinAttributes(split(part, '+').map(canonicalAttribute)))
    .join(',');
}

function canonicalAttribute(text: string): string {
  const equals = text.indexOf('=');
  if (equals < 0) throw new NameSyntaxError(`'${text}' is not of the form TYPE=VALUE`);
  const type = text.slice(0, equals);
  const value = text.slice(equals + 1);
  if (/^(0|[1-9]\d*)(\.(0|[1-9]\d*))+$/.test(type)) return `${nameOf(type)}=${hexValue(type, value)}`;
  if (attributeTypes[type] === undefined || !Object.hasOwn(attributeTypes, type)) {
    throw new NameSyntaxError(
      `the type '${type}' is not one of ${Object.keys(attributeTypes).join(', ')}; others are written as an object identifier`,
    );
  }
  // formatName writes the text of a value in hex that is a string, so that the hex form would equal none.
  if (value.startsWith('#') && isText(hexValue(type, value)))
    throw new NameSyntaxError(`write the text of ${type} instead of its encoding in hex`);
  return `${type}=${value.startsWith('#') ? hexValue(type, value) : escapeValue(unescape(value))}`;
}

/** A type that has a short name always gets it: then the value is compared as text, too. */
function nameOf(oid: string): string {
  const known = Object.entries(attributeTypes).find(([, each]) => each === oid);
  if (known !== undefined) throw new NameSyntaxError(`write ${known[0]} instead of ${oid}`);
  return oid;
}

function hexValue(type: string, value: string): string {
  if (!/^#([0-9a-fA-F]{2})+$/.test(value))
    throw new NameSyntaxError(`the value of ${type} must be # and the encoded value in hex`);
  return value.toLowerCase();
}

/** Reports whether an encoded value is a string whose text can be read. Of other types the hex form is the only one. */
function isText(hex: string): boolean {
  const bytes = Buffer.from(hex.slice(1), 'hex');
  const tag = bytes[0] ?? 0;
  try {
    return decodeText(tag, bytes.subarray(2), 'the value') !== undefined;
  } catch (error) {
    if (error instanceof CertificateError) return true;
    throw error;
  }
}

/** Splits at a separator that no backslash escapes. */
function split(text: string, separator: string): readonly string[] {
  const parts: string[] = [];
  let part = '';
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if (character === separator) {
      parts.push(part);
      part = '';
    } else if (character === '\\') {
      part += character + (text[at + 1] ?? '');
      at += 1;
    } else part += character;
  }
  return [...parts, part];
}

/** Returns a value without its escapes: a backslash and a special character, or two hex digits of UTF-8. */
function unescape(value: string): string {
  if (/^ |^#|(?<!\\)(\\\\)* $/.test(value))
    throw new NameSyntaxError(`escape the space or # at the end of '${value}' with a backslash`);
  const bytes: Buffer[] = [];
  for (const [piece, special, hex] of value.matchAll(/\\([ "#+,;<=>\\])|\\([0-9a-fA-F]{2})|[^\\]|\\/gsu)) {
    if (special !== undefined) bytes.push(Buffer.from(special));
    else if (hex !== undefined) bytes.push(Buffer.from(hex, 'hex'));
    else if (/^["+,;<>\\]$/.test(piece)) throw new NameSyntaxError(`escape ${piece} with a backslash`);
    else bytes.push(Buffer.from(piece));
  }
  const text = Buffer.concat(bytes);
  const decoded = text.toString('utf8');
  if (!Buffer.from(decoded).equals(text)) throw new NameSyntaxError(`'${value}' is not valid UTF-8`);
  if (/\p{Cc}/u.test(decoded)) throw new NameSyntaxError(`'${value}' contains a control character`);
  return decoded;
}
