import { gunzipSync } from 'node:zlib';
import { maxDocumentBytes } from '../document/decode-document.js';
import { reasonOf } from './undelivered.js';

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
