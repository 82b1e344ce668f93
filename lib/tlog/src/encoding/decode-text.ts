import { TextFormError } from './text-form-error.js';

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
