import type { Position } from './record.js';

export interface Problem {
  /** The segment's path; undefined for what is wrong with the log as a whole. */
  readonly segment?: string;
  /** From 1. */
  readonly line?: number;
  readonly sequence?: number;
  readonly what: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly records: number;
  /** Sequence number of the first record that is still there; undefined when there is none. */
  readonly first: number | undefined;
  /** Sequence number of the last whole record. */
  readonly last: number | undefined;
  /** Where the log stands now: to be kept elsewhere. */
  readonly head: Position;
  readonly segments: readonly string[];
  /** How many records rotation took away, by the log's own summary. */
  readonly removed: number;
  /** How many of those outlived their segments. */
  readonly kept: number;
  /** Bytes of a last line that is still being written. */
  readonly unfinishedBytes: number;
  readonly problems: readonly Problem[];
  /** More problems than are listed. */
  readonly unlisted: number;
}
