import type { CheckedCheckpoint } from '../tree/checkpoint-check.js';
import type { Position } from '../record/record.js';

export interface Problem {
  /** The segment's path; undefined for a problem of the log as a whole. */
  readonly segment?: string;
  /** Line number, from 1. */
  readonly line?: number;
  readonly sequence?: number;
  readonly what: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly records: number;
  /** Sequence number of the first existing record; undefined when there is none. */
  readonly first: number | undefined;
  /** Sequence number of the last complete record. */
  readonly last: number | undefined;
  /** The current head, to be stored elsewhere. */
  readonly head: Position;
  readonly segments: readonly string[];
  /** Number of records removed by rotation, according to the log's summary. */
  readonly removed: number;
  /** Number of those that were kept. */
  readonly kept: number;
  /** Bytes of an incomplete last line that is still being written. */
  readonly unfinishedBytes: number;
  readonly problems: readonly Problem[];
  /** Of a verification with a checkpoint. */
  readonly checkpoint?: CheckedCheckpoint;
  /** Number of problems that are not listed. */
  readonly unlisted: number;
}
