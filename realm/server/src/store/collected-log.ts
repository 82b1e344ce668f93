/**
 * The state of the log of a guest in the store:
 *
 * - `none`: no record has arrived yet.
 * - `not-served`: the guest's listener does not serve WatchAudit.
 * - `verified`: each record follows the one before, from record 1 on.
 * - `gap`: the same, but records are missing. Rotation removed them before they were collected, or they were withheld.
 * - `second-log`: the guest has sent another log than before, or the record of a second boot.
 * - `clone`: two guests with its key are there at once.
 * - `broken`: a line is no record, or does not follow. It is not stored.
 * - `fork`: its key has signed two trees that are not one log, or another tree than that of the records that it sent.
 * - `full`: the store has as many bytes of this guest as it may have; no more are collected.
 * - `failed`: the store is full, cannot be written, or was changed by something else; it is tried again.
 */
export const logStates = [
  'none',
  'not-served',
  'verified',
  'gap',
  'second-log',
  'clone',
  'broken',
  'fork',
  'full',
  'failed',
] as const;

export type LogState = (typeof logStates)[number];

/** What is stored of a guest's log. */
export interface CollectedLog {
  readonly state: LogState;
  readonly records: number;
  /** 0: none. */
  readonly lastSequence: number;
  /** No record has come for three heartbeats. */
  readonly isSilent?: boolean;
}
