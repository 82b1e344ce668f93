/**
 * Parses a size or an index: ASCII decimal without leading zeroes, at most 2^53 - 1. Undefined for any other text.
 * C2SP's documents allow up to 2^63 - 1; a log of ours cannot become that long.
 */
export function parseDecimal(text: string): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
