/** Of the places, this part is for callers whose share does not count: Kata's runtime. */
const reservedPart = 8;

/** The places of a container for processes of ExecProcess. */
export interface ExecSlots {
  readonly limit: number;
  /** Of all callers. */
  readonly taken: number;
  /** Of the caller that wants one more. */
  readonly own: number;
}

/**
 * Reports whether one of several callers may take a place more. It must have fewer than are free, so that each next caller finds some
 * whatever the others take: of 32 the first has up to 14, and the next one 7. Nobody loses a process that it has.
 */
export function hasShare({ limit, taken, own }: ExecSlots): boolean {
  return own < limit - taken - Math.floor(limit / reservedPart);
}
