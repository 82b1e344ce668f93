import { writtenBytes } from './written.js';

/** Maximum written size of a UTF-16 unit: `\uXXXX`. */
const longestUnit = 6;
const mark = '…';

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
