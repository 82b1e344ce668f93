import { quote } from './display-text.js';

const scripts: readonly (readonly [string, RegExp])[] = [
  ['Cyrillic', /\p{Script=Cyrillic}/u],
  ['Greek', /\p{Script=Greek}/u],
  ['Armenian', /\p{Script=Armenian}/u],
  ['Cherokee', /\p{Script=Cherokee}/u],
  ['full-width', /[\uff01-\uff5e]/u],
  ['Latin, not ASCII', /\p{Script=Latin}/u],
];

/** A character in words: its code point and script, as `"…" (U+0415, Cyrillic)`; an ASCII character stands for itself. */
export function characterName(character: string): string {
  const codePoint = character.codePointAt(0) ?? 0;
  if (codePoint > 0x20 && codePoint < 0x7f) return quote(character);
  const script = scripts.find(([, pattern]) => pattern.test(character))?.[0];
  const number = codePoint.toString(16).toUpperCase().padStart(4, '0');
  return `${quote(character)} (U+${number}${script === undefined ? '' : `, ${script}`})`;
}

/**
 * What to say of a name with a character that is not printable ASCII, or undefined if it has none. No name of this
 * language has one, so that two names that look the same are the same.
 */
export function foreignCharacter(name: string): string | undefined {
  const characters = Array.from(name);
  const at = characters.findIndex((character) => !/^[!-~]$/.test(character));
  const character = characters[at];
  if (character === undefined) return undefined;
  return `its character ${at + 1} is ${characterName(character)}, not an ASCII letter`;
}
