import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { DeliveryRead, DeliverySource } from '../configuration.js';
import { initdataKey, parseInitdata } from './initdata-envelope.js';
import { initdataHeaderBytes, readInitdataHeader, unpackInitdataImage } from './initdata-image.js';
import { isAbsent, nothing, reasonOf, undelivered } from './undelivered.js';

/** An initdata block device, virtio-blk or virtio-scsi, as Kata's agent looks for it: the first bytes tell it. */
export function initdataSource(root: string): DeliverySource {
  return { name: 'initdata', collect: () => collect(join(root, 'dev')) };
}

function collect(folder: string): DeliveryRead {
  const found: { readonly path: string; readonly image: Uint8Array }[] = [];
  for (const name of diskNames(folder)) {
    const path = join(folder, name);
    try {
      const image = readImage(path);
      if (image !== undefined) found.push({ path, image });
    } catch (error) {
      // A disk that cannot be read, such as a drive without a medium, is none of ours; `required` finds what is missing.
      if (!isAbsent(error) && !isUnreadable(error)) {
        return undelivered(`${path} cannot be read: ${reasonOf(error)}`, `look at it: blkid -p ${path}`);
      }
    }
  }
  const [first, second] = found;
  if (first === undefined) return nothing;
  if (second !== undefined) {
    const message = `there are two initdata devices, ${first.path} and ${second.path}`;
    return undelivered(message, 'attach one: which of them counts must not be a guess');
  }
  return open(first.path, first.image);
}

function open(path: string, image: Uint8Array): DeliveryRead {
  const file = `initdata (${path})`;
  const unpacked = unpackInitdataImage(image);
  if (unpacked === undefined) return nothing;
  if (!unpacked.ok) {
    return undelivered(
      `${file} cannot be unpacked: ${unpacked.reason}`,
      'write it again: kata-agent-ctl config digest FILE --out IMAGE',
    );
  }
  const envelope = unpacked.bytes;
  const parsed = parseInitdata(envelope, file);
  if (!parsed.ok) return parsed;
  const { document: bytes, algorithm } = parsed;
  if (bytes === undefined) return nothing;
  return { ok: true, documents: [{ file: `${file} ${initdataKey}`, bytes, envelope, algorithm }] };
}

/** The names that Kata's agent looks at, in order, so that two guests tell the same. */
function diskNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^(?:vd|sd)/.test(name))
      .toSorted();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

/** The image on a disk, its padding left out; undefined: it is another disk. A copied tree has files for disks. */
function readImage(path: string): Uint8Array | undefined {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isBlockDevice() && !stats.isFile()) return undefined;
    const header = readUpTo(descriptor, 0, initdataHeaderBytes);
    const said = readInitdataHeader(header);
    if (said.kind === 'other') return undefined;
    const rest = said.kind === 'initdata' ? said.length : 0;
    return Buffer.concat([header, readUpTo(descriptor, initdataHeaderBytes, rest)]);
  } finally {
    closeSync(descriptor);
  }
}

/** Fewer bytes than asked for only at the end of the device. */
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
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EIO' || code === 'ENOMEDIUM';
}
