/** Returns the maximum for each of `sizes` so that their sum is at most `space`; Infinity when all fit. */
export function levelOf(sizes: readonly number[], space: number): number {
  let left = space;
  const ascending = sizes.toSorted((a, b) => a - b);
  for (const [index, size] of ascending.entries()) {
    const level = Math.floor(left / (ascending.length - index));
    if (size > level) return Math.max(level, 0);
    left -= size;
  }
  return Number.POSITIVE_INFINITY;
}
