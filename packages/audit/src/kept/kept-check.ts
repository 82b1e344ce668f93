import { createHash } from 'node:crypto';
import { readRecord } from '../chain.js';
import type { KeptSummary, Position, RotatedRecord } from '../record.js';
import type { Problem } from '../verify-report.js';

const newline = Buffer.from('\n');

/** What a file of kept records holds, fed to it line by line. Pure. */
export class KeptCheck {
  readonly problems: Problem[] = [];
  records = 0;
  /** The hash of a record that a head kept elsewhere names; undefined: it is not here. */
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
    if (sequence <= this.#last) this.#problem('out of order, or a repetition', sequence);
    this.#last = sequence;
    if (sequence === this.#anchor?.sequence) this.anchored = hash;
  }

  /** `unfinished`: what stands behind the last newline. */
  end(unfinished: Buffer): void {
    this.#hash.update(unfinished);
    if (unfinished.length > 0) this.#problem(`${unfinished.length} bytes that are not a record`);
    this.#summary = { records: this.records, sha256: this.#hash.digest('hex') };
  }

  /** Whether this is what a `rotated` record names. */
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

/** What a `rotated` record says of what is gone. */
export interface Removal {
  readonly sequence: number;
  readonly removed: NonNullable<RotatedRecord['removed']>;
}

/** The files of kept records: the one in its place, and one that was made for a rotation to come, or for one interrupted. */
export interface KeptFiles {
  readonly inPlace: KeptCheck | undefined;
  readonly next: KeptCheck | undefined;
}

/**
 * What is wrong with the kept records as a whole; undefined: nothing. They are what a `rotated` record names behind whose
 * removals all records are still there: while a log is being rotated that need not be the last one.
 *
 * `start` is the sequence number before the first record that is there.
 */
export function keptProblem(
  { inPlace, next }: KeptFiles,
  removals: readonly Removal[],
  start: number,
): string | undefined {
  if (inPlace === undefined && start === 0) return undefined;
  const fitting = removals.filter(({ removed }) => removed.last.sequence >= start);
  if (fitting.some(({ removed: { kept } }) => inPlace?.is(kept) === true || next?.is(kept) === true))
    return undefined;
  const last = fitting.findLast(({ removed }) => removed.kept !== undefined);
  if (last === undefined)
    return inPlace === undefined ? undefined : 'there are kept records that no record of the log names';
  if (inPlace === undefined && fitting.some(({ removed }) => removed.kept === undefined)) return undefined;
  const { records } = last.removed.kept ?? { records: 0 };
  return `the kept records are not those that record ${last.sequence} names (${records} records): changed, cut off or gone`;
}
