import { visibleText } from '@kata-agent/base';

/** A code point as displayed: its text and its width in terminal cells. */
export interface Glyph {
  readonly text: string;
  readonly cells: number;
}

const combining: RegExp = /\p{M}/u;
// East Asian wide and full-width ranges, and emoji.
const wide: RegExp =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}\p{Emoji_Presentation}]/u;

/** Returns a code point as displayed. A tab becomes two spaces; unsafe characters are escaped. */
export function glyph(character: string): Glyph {
  if (character === '\t') return { text: '  ', cells: 2 };
  // A document must not control the terminal.
  const visible = visibleText(character);
  if (visible !== character) return { text: visible, cells: visible.length };
  if (combining.test(character)) return { text: character, cells: 0 };
  return { text: character, cells: wide.test(character) ? 2 : 1 };
}

/** Escapes a text for safe display in one line. */
export function displayText(text: string): string {
  return Array.from(text, (character) => glyph(character).text).join('');
}

const quotedLength = 80;

/** Quotes a text, escaped for display and truncated when it is long. */
export function quote(text: string): string {
  const characters = Array.from(text);
  const cut = characters.length > quotedLength;
  return `"${displayText(characters.slice(0, quotedLength).join(''))}${cut ? '…' : ''}"`;
}
