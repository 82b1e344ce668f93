import { decodeBase64, encodeBase64 } from '../encoding/base64.js';
import { isKeyName } from './key-name.js';

/** A line of a note that has a signature, not verified. */
export interface SignatureLine {
  readonly name: string;
  /** 8 hex digits. */
  readonly id: string;
  /** What follows the id: a signature, or a time and a signature. */
  readonly signature: Uint8Array;
}

/** Returns `— NAME BASE64` and a newline: base64 of id and signature (C2SP signed-note v1.0.0, "Format"). */
export function formatSignatureLine({ name, id, signature }: SignatureLine): string {
  return `\u2014 ${name} ${encodeBase64(Buffer.concat([Buffer.from(id, 'hex'), signature]))}\n`;
}

/** Parses such a line without its newline. Undefined if it is not one; a signature has at least one byte. */
export function parseSignatureLine(line: string): SignatureLine | undefined {
  const [, name = '', base64 = ''] = /^\u2014 ([^ ]+) ([^ ]+)$/.exec(line) ?? [];
  const bytes = decodeBase64(base64);
  if (!isKeyName(name) || bytes === undefined || bytes.byteLength < 5) return undefined;
  return { name, id: Buffer.from(bytes.subarray(0, 4)).toString('hex'), signature: bytes.subarray(4) };
}
