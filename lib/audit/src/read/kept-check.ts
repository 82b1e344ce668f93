import { createHash } from 'node:crypto';
import { readRecord } from '../chain/chain.js';
import type { KeptSummary, Position, RotatedRecord } from '../record/record.js';
import type { Problem } from './verify-report.js';

const newline = Buffer.from('\n');

/** Verifies a file of kept records that is fed to it line by line. Does no I/O. */
export class KeptCheck {
  readonly problems: Problem[] = [];
  records = 0;
  /** The hash of the record that an externally stored head names; undefined when it is not in the file. */
  anchored: string | undefined;
  readonly #path: string;
  readonly #anchor: Position | undefined;
  readonly #hash = createHash('sha256');
  #last = 0;
  #summary: KeptSummary | undefined;

  constructor(path: string, anchor: Position | undefined) {
    this.#path = path;
    this.#anchor = anchor;
  }

  line(bytes: Buffer): void {
    this.records += 1;
    this.#hash.update(bytes).update(newline);
    const read = readRecord(bytes);
    if (!read.ok) return this.#problem(read.what);
    const { sequence, hash } = read.record;
    if (sequence <= this.#last) this.#problem('out of order or repeated', sequence);
    this.#last = sequence;
    if (sequence === this.#anchor?.sequence) this.anchored = hash;
  }

  /** `unfinished`: the bytes after the last newline. */
  end(unfinished: Buffer): void {
    this.#hash.update(unfinished);
    if (unfinished.length > 0) this.#problem(`${unfinished.length} bytes that are not a record`);
    this.#summary = { records: this.records, sha256: this.#hash.digest('hex') };
  }

  /** Reports whether this is the file that a `rotated` record names. */
  is(named: KeptSummary | undefined): boolean {
    const { records, sha256 } = this.#summary ?? {};
    return named !== undefined && named.records === records && named.sha256 === sha256;
  }

  #problem(what: string, sequence?: number): void {
    const place = { segment: this.#path, line: this.records };
    if (this.problems.length < 100)
      this.problems.push(sequence === undefined ? { ...place, what } : { ...place, sequence, what });
  }
}

/** What a `rotated` record says about removed records. */
export interface Removal {
  readonly sequence: number;
  readonly removed: NonNullable<RotatedRecord['removed']>;
}

/** The files of kept records: the one in place, and one prepared for a pending or interrupted rotation. */
export interface KeptFiles {
  readonly inPlace: KeptCheck | undefined;
  readonly next: KeptCheck | undefined;
}

/**
 * Returns the first removal that names the kept records: of those after which all records still exist; during a rotation that
 * need not be the last one. `start` is the sequence number before the first existing record.
 */
export function removalOf(
  { inPlace, next }: KeptFiles,
  removals: readonly Removal[],
  start: number,
): Removal | undefined {
  return removals.find(
    ({ removed: { last, kept } }) =>
      last.sequence >= start && (inPlace?.is(kept) === true || next?.is(kept) === true),
  );
}

/** Returns what is wrong with the kept records as a whole, or undefined. They must be those that a removal names. */
export function keptProblem(
  kept: KeptFiles,
  removals: readonly Removal[],
  start: number,
): string | undefined {
  const { inPlace } = kept;
  if (inPlace === undefined && start === 0) return undefined;
  if (removalOf(kept, removals, start) !== undefined) return undefined;
  const fitting = removals.filter(({ removed }) => removed.last.sequence >= start);
  const last = fitting.findLast(({ removed }) => removed.kept !== undefined);
  if (last === undefined)
    return inPlace === undefined ? undefined : 'the log has no record that names the kept records';
  if (inPlace === undefined && fitting.some(({ removed }) => removed.kept === undefined)) return undefined;
  const { records } = last.removed.kept ?? { records: 0 };
  return `the kept records are not those that record ${last.sequence} names (${records} records): changed, truncated or missing`;
}
