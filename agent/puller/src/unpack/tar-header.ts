import type { FileTime } from '@kata-agent/linux';
import { LayerError } from './layer-error.js';
import { tarNumber } from './tar-number.js';

export const blockSize = 512;

/** The fields of one header block, as written. */
export interface TarHeader {
  readonly name: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content that follow, without padding. */
  readonly size: number;
  readonly modified: FileTime;
  /** `0` file, `1` hard link, `2` symbolic link, `5` directory, …; NUL is `0`. */
  readonly type: string;
  readonly linkName: Buffer;
}

/** Parses a header block. Returns undefined for a block of zeros. Throws a LayerError. */
export function tarHeader(block: Buffer): TarHeader | undefined {
  const stored = tarNumber(block.subarray(148, 156), 'checksum');
  if (stored === 0 && block.every((byte) => byte === 0)) return undefined;
  if (stored !== checksum(block))
    throw new LayerError('header', 'an entry has the wrong checksum\nhelp: build the image again');
  const type = String.fromCharCode(block[156] === 0 ? 0x30 : (block[156] ?? 0));
  const ustar = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = ustar ? text(block.subarray(345, 500)) : Buffer.alloc(0);
  const name = text(block.subarray(0, 100));
  return {
    name: prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]),
    mode: tarNumber(block.subarray(100, 108), 'mode'),
    uid: tarNumber(block.subarray(108, 116), 'uid'),
    gid: tarNumber(block.subarray(116, 124), 'gid'),
    size: size(block),
    modified: { seconds: tarNumber(block.subarray(136, 148), 'mtime'), nanoseconds: 0 },
    type,
    linkName: text(block.subarray(157, 257)),
  };
}

function size(block: Buffer): number {
  const value = tarNumber(block.subarray(124, 136), 'size');
  if (value < 0) throw new LayerError('header', 'an entry has a negative size');
  return value;
}

/**
 * The sum of all bytes, with spaces in place of the checksum itself. Four bytes at a time, in two sums of 16 bits each.
 */
function checksum(block: Buffer): number {
  let [even, odd] = [0, 0];
  for (let at = 0; at < blockSize; at += 4) {
    const word = block.readUInt32LE(at);
    even += word & 0xff00ff;
    odd += (word >>> 8) & 0xff00ff;
  }
  let sum = (even & 0xffff) + (even >>> 16) + (odd & 0xffff) + (odd >>> 16) + 8 * 0x20;
  for (let at = 148; at < 156; at++) sum -= block[at] ?? 0;
  return sum;
}

/** A field ends at its first NUL. Copied: the block is reused. */
function text(field: Buffer): Buffer {
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end));
}
