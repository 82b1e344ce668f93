import { distance } from 'fastest-levenshtein';

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
