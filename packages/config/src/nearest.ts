import { distance } from 'fastest-levenshtein';

// A name longer than this is not a misspelling; comparing it would only cost time.
const longest = 100;

/** The candidate that was most likely meant, or undefined if none is near. Case counts less than letters. */
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
