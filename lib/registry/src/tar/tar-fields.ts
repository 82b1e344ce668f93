import type { FileTime } from '@kata-agent/linux';
import { TarError } from './tar-error.js';

/** Enough for the length of a record that fits in any allowed header. */
const paxLengthDigits = 12;
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

/** Parses a header block. Returns undefined for a block of zeros. Throws a TarError. */
export function tarHeader(block: Buffer): TarHeader | undefined {
  const stored = tarNumber(block.subarray(148, 156), 'checksum');
  if (stored === 0 && block.every((byte) => byte === 0)) return undefined;
  if (stored !== checksum(block)) throw new TarError('header', 'an entry has the wrong checksum');
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
  if (value < 0) throw new TarError('header', 'an entry has a negative size');
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

/**
 * Parses a numeric field of a header: octal digits, padded with spaces and NULs, or GNU's big-endian base 256 if the
 * first bit is set. An empty field is 0. Throws a TarError for anything else, and for a value that is not a safe
 * integer.
 */
export function tarNumber(field: Uint8Array, what: string): number {
  const first = field[0] ?? 0;
  const value = (first & 0x80) === 0 ? octal(field) : base256(field);
  if (value === undefined || !Number.isSafeInteger(value))
    throw new TarError('header', `an entry's ${what} is not a number`);
  return value;
}

function octal(field: Uint8Array): number | undefined {
  const text = Buffer.from(field).toString('latin1');
  const digits = /^ *([0-7]*)[ \0]*$/.exec(text)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits === '' ? '0' : digits, 8);
}

/** Two's complement: the first bit marks the format, the second is the sign. */
function base256(field: Uint8Array): number {
  const negative = ((field[0] ?? 0) & 0x40) !== 0;
  let value = 0n;
  for (const [at, byte] of field.entries()) {
    value = value * 256n + BigInt(at === 0 ? byte & (negative ? 0xff : 0x7f) : byte);
  }
  if (negative) value -= 1n << BigInt(field.length * 8);
  return Number(value);
}

/** Records of a pax extended header, by key. Values are bytes: names need not be UTF-8, attributes seldom are. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

/** Parses `LENGTH KEY=VALUE\n` records, where LENGTH counts the whole record. Throws a TarError. */
export function paxRecords(body: Buffer): PaxRecords {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < body.length; ) {
    const space = body.subarray(at, at + paxLengthDigits).indexOf(0x20);
    const digits = body.toString('latin1', at, at + Math.max(space, 0));
    const end = at + Number(digits);
    const equals = body.indexOf(0x3d, at);
    const whole =
      /^[1-9][0-9]*$/.test(digits) &&
      end <= body.length &&
      body[end - 1] === 0x0a &&
      equals > at + space + 1 &&
      equals < end;
    if (!whole) throw new TarError('header', 'an extended header has a record of the wrong length');
    const key = body.toString('utf8', at + space + 1, equals);
    if (records.has(key))
      throw new TarError('header', `an extended header has ${JSON.stringify(key.slice(0, 200))} twice`);
    records.set(key, body.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/** Parses a decimal number that is not negative, as in `size`, `uid` and `gid`. */
export function paxInteger(value: Buffer, key: string): number {
  const text = value.toString('latin1');
  const number = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number))
    throw new TarError(
      'header',
      `an extended header's ${key} is not a number: ${JSON.stringify(text.slice(0, 40))}`,
    );
  return number;
}

/** Parses a time: seconds with a fraction, possibly negative. Digits after the ninth are dropped. */
export function paxTime(value: Buffer): { readonly seconds: number; readonly nanoseconds: number } {
  const text = value.toString('latin1');
  const [, sign, whole = '', fraction = ''] = /^(-?)([0-9]{1,12})(?:\.([0-9]*))?$/.exec(text) ?? [];
  if (sign === undefined)
    throw new TarError(
      'header',
      `an extended header's mtime is not a time: ${JSON.stringify(text.slice(0, 40))}`,
    );
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { seconds: Number(whole), nanoseconds };
  // -1.25 s is 0.75 s after -2 s.
  return nanoseconds === 0
    ? { seconds: 0 - Number(whole), nanoseconds: 0 }
    : { seconds: -1 - Number(whole), nanoseconds: 1_000_000_000 - nanoseconds };
}
