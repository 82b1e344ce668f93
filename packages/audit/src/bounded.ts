import { hash } from 'node:crypto';
import { clip } from './clip.js';
import { levelOf } from './level.js';
import { printableJson } from './written.js';

/** What stands for a part of a request that is not recorded whole. */
export interface Cut {
  /** A text or a list was too long for a record, so that something is missing. */
  readonly cut: true;
  /** Of the part as it would have been written: so it can be proven what was left out. */
  readonly whole: { readonly bytes: number; readonly sha256: string };
}

/** In bytes as they are written, escapes included. */
export interface Bounds {
  /** Of all of it, the mark of a cut not included. */
  readonly bytes: number;
  /** Of each text in it. */
  readonly text: number;
}

/**
 * A part of a request in the bounds of a record. What is too long is cut, the longest members first, so that none of them
 * takes the room of another: of a list its first entries stay.
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

/** With each text cut. */
function shortened(value: unknown, text: number): unknown {
  if (typeof value === 'string') return clip(value, text);
  if (Array.isArray(value)) return value.map((entry) => shortened(entry, text));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shortened(member, text)]));
}

/** Lists, and objects of lists and texts, in so many bytes. Texts are short already. */
function fit(value: unknown, bytes: number): unknown {
  if (Array.isArray(value)) return firstOf(value, bytes);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]: [string, unknown]) => {
    // Name and comma; the value's own bytes come on top.
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
