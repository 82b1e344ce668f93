/** The middle value; for an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('no values, so no median');
  const sorted = values.toSorted((a, b) => a - b);
  const high = sorted.length >> 1;
  const upper = sorted[high] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[high - 1] ?? Number.NaN) + upper) / 2;
}
