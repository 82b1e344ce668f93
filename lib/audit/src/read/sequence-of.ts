const start = '{"sequence":';
/** Of the largest safe integer. */
const maxDigits = 16;

/** Returns the sequence number at the start of a record's line, without parsing the line; undefined if it has none. */
export function sequenceOf(line: Buffer): number | undefined {
  const head = line.toString('latin1', 0, start.length + maxDigits + 1);
  const digits = head.startsWith(start) ? /^(\d+),/.exec(head.slice(start.length))?.[1] : undefined;
  return digits === undefined ? undefined : Number(digits);
}
