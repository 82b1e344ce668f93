import type { RemovedSummary } from '../record/record.js';

/** What records of a log say of the log itself. */
export interface NamedBy {
  /** The sequence number of the record that has the hash of the kept records; undefined if none are kept. */
  readonly keptNamedBy?: number | undefined;
  /** The record that says that rotation has removed the beginning of the log; undefined if it is there. */
  readonly removalNamedBy?: { readonly sequence: number; readonly removed: RemovedSummary } | undefined;
}

/**
 * Returns what only a record after `last` explains, the last one that something from outside the log proves; undefined if nothing
 * does (S45). Anyone with the files can add records that say what they want, such as that rotation removed the others.
 */
export function unprovenProblem(
  last: number,
  { keptNamedBy, removalNamedBy }: NamedBy,
  proof: 'checkpoint' | 'stored head',
): string | undefined {
  const newer = `verify with a ${proof} that covers it`;
  if (removalNamedBy !== undefined && removalNamedBy.sequence > last)
    return `records 1 to ${removalNamedBy.removed.last.sequence} are gone, and only record ${removalNamedBy.sequence} says that rotation removed them, which the ${proof} does not cover: ${newer}`;
  if (keptNamedBy !== undefined && keptNamedBy > last)
    return `the kept records are unproven: only record ${keptNamedBy} names them, which the ${proof} does not cover: ${newer}`;
  return undefined;
}
