import { gunzipSync } from 'node:zlib';
import { reasonOf } from '../delivery.js';
import { type Diagnostic, SourceText } from '../diagnostics/diagnostic.js';
import { writeSize } from '../value-types/quantities.js';

/** Maximum size of a document (S6); a configuration is a few KiB. */
export const maxDocumentBytes: number = 256 * 1024;

export type DecodedDocument =
  | { readonly ok: true; readonly source: SourceText }
  | { readonly ok: false; readonly diagnostic: Diagnostic };

/** Decodes a document as strict UTF-8 without a byte order mark. Invalid bytes are an error, never replaced. */
export function decodeDocument(bytes: Uint8Array, file: string): DecodedDocument {
  if (bytes.length > maxDocumentBytes)
    return bad('KA1001', file, tooLarge('the document', bytes.length), 'a configuration is a few KiB');
  if (startsWith(bytes, 0xef, 0xbb, 0xbf)) {
    const help = `remove its first three bytes: sed -i '1s/^\\xEF\\xBB\\xBF//' ${file}`;
    return bad('KA1002', file, 'the document begins with a byte order mark (U+FEFF)', help);
  }
  if (startsWith(bytes, 0xff, 0xfe) || startsWith(bytes, 0xfe, 0xff)) {
    const help = `convert it: iconv -f UTF-16 -t UTF-8 ${file}`;
    return bad('KA1002', file, 'the document is UTF-16; it must be UTF-8 without a byte order mark', help);
  }
  const valid = validLength(bytes);
  if (valid < bytes.length) return { ok: false, diagnostic: notUtf8(bytes, file, valid) };
  return { ok: true, source: new SourceText(file, decode(bytes)) };
}

/** `the document has 10485760 bytes; at most 256KiB are allowed`. */
export function tooLarge(what: string, bytes: number): string {
  return `${what} has ${bytes} bytes; at most ${writeSize(maxDocumentBytes)} are allowed`;
}

function bad(code: Diagnostic['code'], file: string, message: string, help: string): DecodedDocument {
  const span = { file, line: 1, column: 1, endColumn: 2 };
  return { ok: false, diagnostic: { severity: 'error', code, message, span, help } };
}

function startsWith(bytes: Uint8Array, ...prefix: number[]): boolean {
  return prefix.every((byte, index) => bytes[index] === byte);
}

function notUtf8(bytes: Uint8Array, file: string, at: number): Diagnostic {
  const before = new SourceText(file, decode(bytes.subarray(0, at)));
  const byte = (bytes[at] ?? 0).toString(16).padStart(2, '0');
  return {
    severity: 'error',
    code: 'KA1002',
    message: `byte ${at} of the document, 0x${byte}, is not UTF-8`,
    span: before.span(before.text.length, before.text.length + 1),
    help: `find it: grep -naxv '.*' ${file}`,
  };
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** Returns the length in bytes of the longest valid UTF-8 prefix. */
function validLength(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const next = at + sequenceLength(bytes, at);
    if (next === at) return at;
    at = next;
  }
  return at;
}

/** Returns the length of the UTF-8 sequence at an offset, 0 when it is ill-formed (Unicode 15, table 3-7). */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  const second = bytes[at + 1] ?? 0;
  if (second < lowest || second > highest) return 0;
  for (let index = 2; index < length; index += 1) {
    const byte = bytes[at + index] ?? 0;
    if (byte < 0x80 || byte > 0xbf) return 0;
  }
  return length;
}

export type Unzipped =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly reason: string };

/** Reports whether the bytes have the gzip magic (RFC 1952). */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Unpacks gzip from the host, up to the maximum document size. */
export function unzip(bytes: Uint8Array): Unzipped {
  try {
    return { ok: true, bytes: new Uint8Array(gunzipSync(bytes, { maxOutputLength: maxDocumentBytes })) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ERR_BUFFER_TOO_LARGE')
      return { ok: false, reason: `it unpacks to more than ${maxDocumentBytes} bytes` };
    if (code === 'Z_BUF_ERROR') return { ok: false, reason: 'its gzip data is truncated' };
    if (typeof code !== 'string' || !code.startsWith('Z_')) throw error;
    return { ok: false, reason: `its gzip data is damaged (${reasonOf(error)})` };
  }
}
