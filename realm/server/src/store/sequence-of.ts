/** Lines are stored only if they begin with their sequence number. */
export function sequenceOf(line: Buffer): number {
  return Number(/^\{"sequence":(\d+),/.exec(line.toString('latin1', 0, 32))?.[1] ?? 0);
}
