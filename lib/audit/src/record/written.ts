import { hash } from 'node:crypto';

/** Maximum written size of a UTF-16 unit: `\uXXXX`. */
const longestUnit = 6;

const mark = '…';

/** Marks a part of a request that is not recorded in full. */
export interface Cut {
  /** A string or list was too long for a record, so part of it is missing. */
  readonly cut: true;
  /** Size and digest of the part as it would have been written, to prove what was omitted. */
  readonly whole: { readonly bytes: number; readonly sha256: string };
}

/** Limits in bytes as written, including escapes. */
export interface Bounds {
  /** Of the whole, without the mark of a cut. */
  readonly bytes: number;
  /** Of each string in it. */
  readonly text: number;
}

/**
 * Cuts a part of a request to the limits of a record. The longest members are cut first, so that none takes space from
 * another; lists keep their first entries.
 */
export function bounded<T extends object>(value: T, bounds: Bounds): T | (T & Cut) {
  const whole = written(value);
  const short = shortened(value, bounds.text) as T;
  const json = written(short);
  if (json === whole && whole.length <= bounds.bytes) return value;
  const kept = json.length <= bounds.bytes ? short : (fit(short, bounds.bytes) as T);
  return { ...kept, cut: true, whole: { bytes: whole.length, sha256: hash('sha256', whole) } };
}

function written(value: unknown): string {
  return printableJson(JSON.stringify(value));
}

/** Truncates each string. */
function shortened(value: unknown, text: number): unknown {
  if (typeof value === 'string') return clip(value, text);
  if (Array.isArray(value)) return value.map((entry) => shortened(entry, text));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shortened(member, text)]));
}

/** Cuts lists, and objects of lists and strings, to a number of bytes. Strings are short already. */
function fit(value: unknown, bytes: number): unknown {
  if (Array.isArray(value)) return firstOf(value, bytes);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]: [string, unknown]) => {
    // Name and comma; the value's bytes are added.
    const frame = written(name).length + 2;
    return { name, member, frame, size: frame + written(member).length };
  });
  const braces = 2;
  const level = levelOf(
    members.map(({ size }) => size),
    bytes - braces,
  );
  return Object.fromEntries(
    members.map(({ name, member, frame, size }) => [
      name,
      size <= level ? member : fit(member, level - frame),
    ]),
  );
}

function firstOf(list: readonly unknown[], bytes: number): readonly unknown[] {
  const kept: unknown[] = [];
  let left = bytes - 2;
  for (const entry of list) {
    left -= written(entry).length + 1;
    if (left < 0) break;
    kept.push(entry);
  }
  return kept;
}

/** Truncates to `bytes` as written in a record (at least 6), including the mark. */
export function clip(text: string, bytes: number): string {
  if (text.length * longestUnit <= bytes) return text;
  if (text.length <= bytes && writtenBytes(text) <= bytes) return text;
  let left = bytes - longestUnit;
  let end = 0;
  for (const character of text) {
    left -= writtenBytes(character);
    if (left < 0) break;
    end += character.length;
  }
  // A copy: a slice keeps its parent alive, which may be as large as a frame.
  return Buffer.from(`${text.slice(0, end)}${mark}`, 'utf16le').toString('utf16le');
}

/** Escapes JSON for a record, so that it cannot affect a terminal. Outside of strings JSON is ASCII. */
export function printableJson(json: string): string {
  // JSON has already escaped the other control characters. This check is faster than a regular expression without a
  // match.
  if (Buffer.byteLength(json) === json.length && !json.includes('\u007f')) return json;
  return json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Reports whether a line has only what the lines of records have: no byte of it can affect a terminal. */
export function isPrintable(line: Uint8Array): boolean {
  return line.every((byte) => byte >= 0x20 && byte <= 0x7e);
}

/** Returns the size of a string in a record, in bytes, with escapes and without quotes: up to six per UTF-16 unit. */
export function writtenBytes(text: string): number {
  return printableJson(JSON.stringify(text)).length - 2;
}

/** Returns the maximum for each of `sizes` so that their sum is at most `space`; Infinity when all fit. */
export function levelOf(sizes: readonly number[], space: number): number {
  let left = space;
  const ascending = sizes.toSorted((a, b) => a - b);
  for (const [index, size] of ascending.entries()) {
    const level = Math.floor(left / (ascending.length - index));
    if (size > level) return Math.max(level, 0);
    left -= size;
  }
  return Number.POSITIVE_INFINITY;
}
