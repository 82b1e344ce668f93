import { gzipSync } from 'node:zlib';
import { maxDocumentBytes } from '../document/decode-document.js';
import { type Unzipped, unzip } from './unzip.js';

/**
 * The format of the initdata block device of Kata's runtimes: the magic `initdata`, the length of the rest as a
 * little-endian u64, and the gzipped envelope, padded with zeros to whole sectors.
 */
const initdataMagic: string = 'initdata';
export const initdataHeaderBytes: number = 16;

const sectorBytes = 512;

/** Upper bound for a gzipped envelope. */
const maxPackedBytes: number = maxDocumentBytes + 4096;

export type InitdataHeader =
  | { readonly kind: 'other' }
  | { readonly kind: 'initdata'; readonly length: number }
  | { readonly kind: 'too long'; readonly length: bigint };

/** Parses the first 16 bytes of a device. */
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

/** Unpacks the envelope of an image; undefined when it is not an initdata image. */
export function unpackInitdataImage(image: Uint8Array): Unzipped | undefined {
  const header = readInitdataHeader(image);
  if (header.kind === 'other') return undefined;
  if (header.kind === 'too long') return { ok: false, reason: `its header declares ${header.length} bytes` };
  const packed = image.subarray(initdataHeaderBytes, initdataHeaderBytes + header.length);
  if (packed.length < header.length) return { ok: false, reason: 'it is truncated' };
  return unzip(packed);
}

/** Builds the image of an envelope, which the host attaches as a raw virtio-blk or virtio-scsi disk. */
export function writeInitdataImage(envelope: Uint8Array): Uint8Array {
  const packed = gzipSync(envelope, { level: 9 });
  const length = initdataHeaderBytes + packed.length;
  const image = Buffer.alloc(Math.ceil(length / sectorBytes) * sectorBytes);
  image.write(initdataMagic, 'latin1');
  image.writeBigUInt64LE(BigInt(packed.length), 8);
  packed.copy(image, initdataHeaderBytes);
  return new Uint8Array(image);
}
