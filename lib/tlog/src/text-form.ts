/**
 * Decodes a text of C2SP's formats: UTF-8 without control characters below U+0020 other than newline (signed-note
 * v1.0.0, "Format"), at most `limit` bytes. Nothing is replaced or removed, not even a byte order mark. Throws a
 * TextFormError; `what` names the text in it.
 */
export function decodeText(input: Uint8Array | string, what: string, limit: number): string {
  const bytes = typeof input === 'string' ? Buffer.from(input) : input;
  if (bytes.byteLength > limit)
    throw new TextFormError(`${what}: it has ${bytes.byteLength} bytes, and may have ${limit}`);
  const text = decodeUtf8(bytes);
  // A string with lone surrogates has no UTF-8 form: Buffer has replaced them.
  if (text === undefined || (typeof input === 'string' && text !== input))
    throw new TextFormError(`${what}: it is not UTF-8`);
  const control = /[\u0000-\u0009\u000b-\u001f]/.exec(text);
  if (control !== null) {
    const code = control[0].charCodeAt(0).toString(16).padStart(4, '0');
    throw new TextFormError(`${what}: it has the control character U+${code}`);
  }
  return text;
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/**
 * Decodes base64 of RFC 4648, Section 4, in its canonical form only: with padding, without other characters, and with
 * unused bits zero. So bytes have one text, and a change of any character is a change of the bytes. Undefined for any
 * other text. Go's decoder and Node's accept more.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** Encodes bytes as base64 of RFC 4648, Section 4. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/**
 * Parses a size or an index: ASCII decimal without leading zeroes, at most 2^53 - 1. Undefined for any other text.
 * C2SP's documents allow up to 2^63 - 1; a log of ours cannot become that long.
 */
export function parseDecimal(text: string): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Returns text of others for a message: quoted, in ASCII, and cut after 80 characters. */
export function quote(text: string): string {
  const cut = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return JSON.stringify(cut).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A text that does not have the form of a note, a checkpoint, a proof or a request. Nothing of it is used. */
export class TextFormError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TextFormError';
  }
}
