import { CertificateError } from '../certificate-error.js';
import { Tag } from '../der/tag.js';

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
