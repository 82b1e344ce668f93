import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  type DeliveryRead,
  type DeliverySource,
  isAbsent,
  nothing,
  reasonOf,
  undelivered,
} from '../delivery.js';
import { maxDocumentBytes, unzip, type Unzipped } from '../document/decode-document.js';

/**
 * The format of the initdata block device of Kata's runtimes: the magic `initdata`, the length of the rest as a
 * little-endian u64, and the gzipped envelope, padded with zeros to whole sectors.
 */
const initdataMagic: string = 'initdata';

const initdataHeaderBytes: number = 16;

const sectorBytes = 512;

/** Upper bound for a gzipped envelope. */
const maxPackedBytes: number = maxDocumentBytes + 4096;

/**
 * Finds an initdata block device, virtio-blk or virtio-scsi, by its first bytes, like Kata's agent. Disks that the agent
 * has no permission to read are an error only if initdata is accepted: without root it is not in a guest.
 */
export function initdataSource(root: string): DeliverySource {
  return {
    name: 'initdata',
    collect: ({ accept }) => collect(join(root, 'dev'), accept.includes('initdata')),
  };
}

async function collect(directory: string, accepted: boolean): Promise<DeliveryRead> {
  const found: { readonly path: string; readonly image: Uint8Array }[] = [];
  for (const name of diskNames(directory)) {
    const path = join(directory, name);
    try {
      const image = readImage(path);
      if (image !== undefined) found.push({ path, image });
    } catch (error) {
      // An unreadable disk, such as a drive without a medium, is skipped; `required` reports a missing document.
      if (!isAbsent(error) && !isUnreadable(error) && (accepted || !isForbidden(error))) {
        return undelivered(
          'KA1703',
          `${path} cannot be read: ${reasonOf(error)}`,
          `check it: blkid -p ${path}`,
        );
      }
    }
  }
  const [first, second] = found;
  if (first === undefined) return nothing;
  if (second !== undefined) {
    const message = `there are two initdata devices, ${first.path} and ${second.path}`;
    return undelivered('KA1703', message, 'attach only one of them');
  }
  return open(first.path, first.image);
}

async function open(path: string, image: Uint8Array): Promise<DeliveryRead> {
  const file = `initdata (${path})`;
  const unpacked = unpackInitdataImage(image);
  if (unpacked === undefined) return nothing;
  if (!unpacked.ok) {
    return undelivered(
      'KA1703',
      `${file} cannot be unpacked: ${unpacked.reason}`,
      'write it again: kata-agent-ctl config digest FILE --out IMAGE',
    );
  }
  const envelope = unpacked.bytes;
  // TOML is parsed only if there is any.
  const { parseInitdata } = await import('./initdata-envelope.js');
  const parsed = parseInitdata(envelope, file);
  if (!parsed.ok) return parsed;
  const { algorithm, files } = parsed;
  return { ok: true, documents: [], initdata: { file, envelope, algorithm, files } };
}

/** Returns the names that Kata's agent checks, sorted, so that the result is deterministic. */
function diskNames(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((name) => /^(?:vd|sd)/.test(name))
      .toSorted();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

/** Reads the image on a disk without its padding; undefined for another disk. In a copied tree disks are files. */
function readImage(path: string): Uint8Array | undefined {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isBlockDevice() && !stats.isFile()) return undefined;
    const header = readUpTo(descriptor, 0, initdataHeaderBytes);
    const parsedHeader = readInitdataHeader(header);
    if (parsedHeader.kind === 'other') return undefined;
    const rest = parsedHeader.kind === 'initdata' ? parsedHeader.length : 0;
    return Buffer.concat([header, readUpTo(descriptor, initdataHeaderBytes, rest)]);
  } finally {
    closeSync(descriptor);
  }
}

/** Returns fewer bytes than requested only at the end of the device. */
function readUpTo(descriptor: number, position: number, length: number): Uint8Array {
  const buffer = Buffer.alloc(length);
  let at = 0;
  while (at < length) {
    const got = readSync(descriptor, buffer, at, length - at, position + at);
    if (got === 0) break;
    at += got;
  }
  return buffer.subarray(0, at);
}

function isUnreadable(error: unknown): boolean {
  return ['EIO', 'ENOMEDIUM'].includes(codeOf(error));
}

function isForbidden(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

type InitdataHeader =
  | { readonly kind: 'other' }
  | { readonly kind: 'initdata'; readonly length: number }
  | { readonly kind: 'too long'; readonly length: bigint };

/** Parses the first 16 bytes of a device. */
function readInitdataHeader(bytes: Uint8Array): InitdataHeader {
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
