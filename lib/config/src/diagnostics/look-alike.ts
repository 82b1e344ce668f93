import { quote } from './display-text.js';

const scripts: readonly (readonly [string, RegExp])[] = [
  ['Cyrillic', /\p{Script=Cyrillic}/u],
  ['Greek', /\p{Script=Greek}/u],
  ['Armenian', /\p{Script=Armenian}/u],
  ['Cherokee', /\p{Script=Cherokee}/u],
  ['full-width', /[\uff01-\uff5e]/u],
  ['Latin, not ASCII', /\p{Script=Latin}/u],
];

/**
 * Describes a character by code point and script, as `"…" (U+0415, Cyrillic)`; an ASCII character is returned
 * unchanged.
 */
export function characterName(character: string): string {
  const codePoint = character.codePointAt(0) ?? 0;
  if (codePoint > 0x20 && codePoint < 0x7f) return quote(character);
  const script = scripts.find(([, pattern]) => pattern.test(character))?.[0];
  const number = codePoint.toString(16).toUpperCase().padStart(4, '0');
  return `${quote(character)} (U+${number}${script === undefined ? '' : `, ${script}`})`;
}

/**
 * Returns the message for a name with a character outside printable ASCII; undefined when it has none. No name of the
 * language has one, so names that look the same are the same.
 */
export function foreignCharacter(name: string): string | undefined {
  const characters = Array.from(name);
  const at = characters.findIndex((character) => !/^[!-~]$/.test(character));
  const character = characters[at];
  if (character === undefined) return undefined;
  return `its character ${at + 1} is ${characterName(character)}, not an ASCII letter`;
}
