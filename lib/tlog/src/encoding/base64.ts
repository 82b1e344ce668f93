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
