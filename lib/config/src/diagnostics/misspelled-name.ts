import { distance } from 'fastest-levenshtein';
import { quote } from './display-text.js';

const scripts: readonly (readonly [string, RegExp])[] = [
  ['Cyrillic', /\p{Script=Cyrillic}/u],
  ['Greek', /\p{Script=Greek}/u],
  ['Armenian', /\p{Script=Armenian}/u],
  ['Cherokee', /\p{Script=Cherokee}/u],
  ['full-width', /[\uff01-\uff5e]/u],
  ['Latin, not ASCII', /\p{Script=Latin}/u],
];

// Longer names are not compared: they are not misspellings, and comparing costs time.
const longest = 100;

/**
 * Returns the most similar candidate, or undefined if none is similar. Differences in case weigh less than other
 * letters.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > longest) return undefined;
  const folded = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const apart = distance(folded, candidate.toLowerCase()) + (word === candidate ? 0 : 0.1);
    if (apart < bestDistance) [best, bestDistance] = [candidate, apart];
  }
  const near = (word.length <= 3 ? 1 : Math.max(2, Math.floor(word.length / 3))) + 0.5;
  return bestDistance <= near ? best : undefined;
}

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
