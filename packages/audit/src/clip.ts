import { writtenBytes } from './written.js';

/** No UTF-16 unit is written longer than this: `\uXXXX`. */
const longestUnit = 6;
const mark = '…';

/** Cuts to `bytes` as they are written in a record (at least 6), the mark included. */
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
  // A slice keeps its parent alive, and the parent may have the size of a frame: copy.
  return Buffer.from(`${text.slice(0, end)}${mark}`, 'utf16le').toString('utf16le');
}
