import { hash } from 'node:crypto';
import { clip } from './clip.js';
import { levelOf } from './level.js';
import { printableJson } from './written.js';

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
