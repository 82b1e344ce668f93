import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { DeliveryRead, DeliverySource } from '../delivery.js';
import { initdataHeaderBytes, readInitdataHeader, unpackInitdataImage } from './initdata-image.js';
import { isAbsent, nothing, reasonOf, undelivered } from './undelivered.js';

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
