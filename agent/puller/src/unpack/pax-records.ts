import { LayerError } from './layer-error.js';

/** Records of a pax extended header, by key. Values are bytes: names need not be UTF-8, attributes seldom are. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

/** Enough for the length of a record that fits in any allowed header. */
const lengthDigits = 12;

/** Parses `LENGTH KEY=VALUE\n` records, where LENGTH counts the whole record. Throws a LayerError. */
export function paxRecords(body: Buffer): PaxRecords {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < body.length; ) {
    const space = body.subarray(at, at + lengthDigits).indexOf(0x20);
    const digits = body.toString('latin1', at, at + Math.max(space, 0));
    const end = at + Number(digits);
    const equals = body.indexOf(0x3d, at);
    const whole =
      /^[1-9][0-9]*$/.test(digits) &&
      end <= body.length &&
      body[end - 1] === 0x0a &&
      equals > at + space + 1 &&
      equals < end;
    if (!whole)
      throw new LayerError(
        'header',
        'an extended header has a record of the wrong length\nhelp: build the image again',
      );
    const key = body.toString('utf8', at + space + 1, equals);
    if (records.has(key))
      throw new LayerError('header', `an extended header has ${JSON.stringify(key.slice(0, 200))} twice`);
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
    throw new LayerError(
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
    throw new LayerError(
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
