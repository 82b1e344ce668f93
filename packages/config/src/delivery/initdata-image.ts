import { gzipSync } from 'node:zlib';
import { maxDocumentBytes } from '../decode-document.js';
import { type Unzipped, unzip } from './unzip.js';

/**
 * The block device that carries initdata, as Kata's runtimes write it: the word `initdata`, the length of what follows
 * as a little-endian u64, and the envelope in gzip, filled with zeros to whole sectors.
 */
const initdataMagic: string = 'initdata';
export const initdataHeaderBytes: number = 16;

const sectorBytes = 512;

/** Gzip never makes an envelope longer than this. */
const maxPackedBytes: number = maxDocumentBytes + 4096;

export type InitdataHeader =
  | { readonly kind: 'other' }
  | { readonly kind: 'initdata'; readonly length: number }
  | { readonly kind: 'too long'; readonly length: bigint };

/** What the first 16 bytes of a device say. */
export function readInitdataHeader(bytes: Uint8Array): InitdataHeader {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (header.length < initdataHeaderBytes || header.toString('latin1', 0, 8) !== initdataMagic) {
    return { kind: 'other' };
  }
  const length = header.readBigUInt64LE(8);
  return length > BigInt(maxPackedBytes)
    ? { kind: 'too long', length }
    : { kind: 'initdata', length: Number(length) };
}

/** The envelope of an image; undefined: it is no initdata image. */
export function unpackInitdataImage(image: Uint8Array): Unzipped | undefined {
  const header = readInitdataHeader(image);
  if (header.kind === 'other') return undefined;
  if (header.kind === 'too long')
    return { ok: false, reason: `it says that it holds ${header.length} bytes` };
  const packed = image.subarray(initdataHeaderBytes, initdataHeaderBytes + header.length);
  if (packed.length < header.length) return { ok: false, reason: 'it ends too early: it was cut off' };
  return unzip(packed);
}

/** The image of an envelope, for the host to attach as a raw virtio-blk or virtio-scsi disk. */
export function writeInitdataImage(envelope: Uint8Array): Uint8Array {
  const packed = gzipSync(envelope, { level: 9 });
  const length = initdataHeaderBytes + packed.length;
  const image = Buffer.alloc(Math.ceil(length / sectorBytes) * sectorBytes);
  image.write(initdataMagic, 'latin1');
  image.writeBigUInt64LE(BigInt(packed.length), 8);
  packed.copy(image, initdataHeaderBytes);
  return new Uint8Array(image);
}
