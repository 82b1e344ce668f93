import { isDeepStrictEqual } from 'node:util';
import { genesis, positionBefore, positionOf, readRecord } from '../chain/chain.js';
import { type KeptFiles, keptProblem, type Removal, removalOf } from './kept-check.js';
import type { AuditRecord, Position, RotatedRecord, Summary } from '../record/record.js';
import { Tally } from '../coalesce/tally.js';
import type { Problem } from './verify-report.js';
import { unprovenProblem } from '../tree/checkpoint-check.js';

const maxListed = 100;
/** At most so many members `hash` end an object of a record: its own, and those of the positions that it names, with some to spare. */
const maxHashes = 32;

/** After a damaged line the next record's sequence number is known, but not its `prev`. */
interface Expected {
  readonly sequence: number;
  readonly hash: string | undefined;
}

/** Verifies a log that is fed to it segment by segment and line by line, oldest first. Does no I/O. */
export class ChainCheck {
  readonly problems: Problem[] = [];
  unlisted = 0;
  records = 0;
  /** The last complete record. */
  head: Position = genesis;
  /** Sequence number of the first readable record. */
  first: number | undefined;
  removed: Summary | undefined;
  /** Sequence number of the record that has the hash of the kept records. */
  keptNamedBy: number | undefined;
  /** What explains that the log does not begin with record 1: the first record that says so. Undefined if nothing does, or need. */
  removalNamedBy: Removal | undefined;
  readonly #anchor: Position | undefined;
  readonly #removals: Removal[] = [];
  #anchorSeen = false;
  #start: Position | undefined;
  #expected: Expected | undefined;
  #segment = '';
  #line = 0;
  #segmentStart: Position | undefined;
  #segmentSound = true;
  #tally = new Tally();
  #rotated = false;

  constructor(anchor: Position | undefined) {
    this.#anchor = anchor;
  }

  beginSegment(path: string): void {
    this.#segment = path;
    this.#line = 0;
    this.#beginPart();
  }

  #beginPart(): void {
    this.#segmentStart = undefined;
    this.#segmentSound = true;
    this.#tally = new Tally();
    this.#rotated = false;
  }

  /** Returns the record, if the line is one. */
  line(bytes: Buffer): AuditRecord | undefined {
    this.#line += 1;
    const read = readRecord(bytes);
    if (!read.ok) {
      this.#damaged(read.what);
      return undefined;
    }
    this.#record(read.record);
    return read.record;
  }

  /** Reports a line that cannot be read at all. */
  unreadable(what: string): void {
    this.#line += 1;
    this.#damaged(what);
  }

  /** `unfinished`: the bytes after the last newline. `closed`: the segment is no longer written to. */
  endSegment(unfinished: Buffer, closed: boolean): void {
    this.#line += 1;
    if (unfinished.length > 0 && (closed || !this.#mayGoOn(unfinished))) {
      this.#problem(`${unfinished.length} bytes that are not a record`);
    } else if (closed && !this.#rotated) {
      this.#problem('the segment does not end in its rotated record: its end is missing');
    }
  }

  /** Called after the last segment. */
  end(kept: KeptFiles): void {
    this.#checkEmpty();
    this.#checkStart();
    for (const problem of kept.inPlace?.problems ?? []) this.#list(problem);
    const start = this.#start?.sequence ?? 0;
    if (start > 0) this.removalNamedBy = this.#removals.find(({ removed }) => removed.last.sequence >= start);
    this.keptNamedBy = removalOf(kept, this.#removals, start)?.sequence;
    const problem = keptProblem(kept, this.#removals, start);
    if (problem !== undefined) this.#whole(problem);
    this.#checkAnchor(kept.inPlace?.anchored ?? kept.next?.anchored);
  }

  /** Called after `end` if nothing but the stored head proves anything of the log. */
  checkProvenByHead(): void {
    const unproven = this.#anchor && unprovenProblem(this.#anchor.sequence, this, 'stored head');
    if (unproven !== undefined) this.#whole(unproven);
  }

  /** A log starts with a boot record and never becomes empty by itself. */
  #checkEmpty(): void {
    if (this.records === 0 && this.problems.length === 0)
      this.#whole('there are no records: a used log has at least a boot record');
  }

  #record(record: AuditRecord): void {
    this.records += 1;
    this.first ??= record.sequence;
    // A copy of a log can have several segments in one file.
    if (this.#rotated) this.#beginPart();
    this.#checkLink(record);
    this.#segmentStart ??= positionBefore(record);
    if (record.kind === 'rotated') this.#checkRotated(record);
    else this.#tally.add(record);
    if (record.sequence === this.#anchor?.sequence) {
      this.#anchorSeen = true;
      if (record.hash !== this.#anchor.hash) {
        this.#problem('is not the record of the stored head', record.sequence);
      }
    }
    this.head = positionOf(record);
    this.#expected = this.head;
  }

  #damaged(what: string): void {
    this.#segmentSound = false;
    const sequence = this.#expected === undefined ? undefined : this.#expected.sequence + 1;
    this.#problem(what, sequence);
    if (sequence !== undefined) this.#expected = { sequence, hash: undefined };
  }

  #checkLink(record: AuditRecord): void {
    const before = positionBefore(record);
    const expected = this.#expected;
    if (expected === undefined) {
      // After a damaged first line the start is unknown, and that line is already reported.
      if (this.problems.length === 0) this.#start = before;
      return;
    }
    const gap = before.sequence - expected.sequence;
    if (gap !== 0) {
      this.#segmentSound = false;
      const what = gap > 0 ? `${gap} records before it are missing` : 'out of order or repeated';
      this.#problem(`follows record ${expected.sequence}: ${what}`, record.sequence);
    } else if (expected.hash !== undefined && before.hash !== expected.hash) {
      this.#segmentSound = false;
      this.#problem('does not contain the hash of the previous record', record.sequence);
    }
  }

  #checkRotated(record: RotatedRecord): void {
    this.#rotated = true;
    this.removed = record.removed;
    if (record.removed !== undefined)
      this.#removals.push({ sequence: record.sequence, removed: record.removed });
    const { after, last, counts } = record.segment;
    const fits =
      isDeepStrictEqual(after, this.#segmentStart) &&
      isDeepStrictEqual(last, positionBefore(record)) &&
      isDeepStrictEqual(counts, this.#tally.counts());
    if (this.#segmentSound && !fits) {
      this.#problem('its summary does not match the segment', record.sequence);
    }
  }

  /** Checks that the log starts with record 1, or where a summary says that rotation stopped. */
  #checkStart(): void {
    const start = this.#start;
    if (start === undefined) return;
    const removed = this.removed?.last ?? genesis;
    const before = [genesis, removed].find(({ sequence }) => sequence === start.sequence);
    if (start.sequence > removed.sequence) {
      const range = `${removed.sequence + 1} to ${start.sequence}`;
      this.#whole(`records ${range} are missing, and no summary covers them`);
    } else if (before !== undefined && before.hash !== start.hash) {
      this.#whole(`the first record does not follow record ${before.sequence}, which was removed`);
    }
  }

  /** Checks the record that the anchor names. `kept`: its hash from the file of kept records. */
  #checkAnchor(kept: string | undefined): void {
    const anchor = this.#anchor;
    if (anchor === undefined || this.#anchorSeen || kept === anchor.hash) return;
    const gone = this.removed?.last ?? genesis;
    if (anchor.sequence === gone.sequence && anchor.hash === gone.hash) return;
    if (kept !== undefined) {
      this.#whole(`the kept record ${anchor.sequence} is not the record of the stored head`);
    } else if (anchor.sequence > this.head.sequence) {
      const end = `the log ends with record ${this.head.sequence}`;
      this.#whole(`truncated: ${end}, but the stored head is record ${anchor.sequence}`);
    } else if (anchor.sequence <= gone.sequence) {
      const range = `rotation removed records 1 to ${gone.sequence}`;
      this.#whole(`the stored head, record ${anchor.sequence}, cannot be compared: ${range}`);
    } else {
      this.#whole(`record ${anchor.sequence}, which the stored head names, is missing`);
    }
  }

  /** Reports whether these bytes can be the beginning of the next record. */
  #mayGoOn(unfinished: Buffer): boolean {
    const expected = this.#expected ?? genesis;
    const prefix = `{"sequence":${expected.sequence + 1},"prev":"${expected.hash ?? ''}`;
    const begin = unfinished.toString('latin1', 0, prefix.length);
    if (!prefix.startsWith(begin)) return false;
    // A complete record with more bytes after it: its newline was changed.
    const text = unfinished.toString('latin1');
    let tried = 0;
    for (const { index, 0: end } of text.matchAll(/,"hash":"[0-9a-f]{64}"\}/g)) {
      const length = index + end.length;
      if (length < unfinished.length && readRecord(unfinished.subarray(0, length)).ok) return false;
      tried += 1;
      // Each is hashed from the beginning.
      if (tried === maxHashes) return false;
    }
    return true;
  }

  #problem(what: string, sequence?: number): void {
    const place = { segment: this.#segment, line: this.#line };
    this.#list(sequence === undefined ? { ...place, what } : { ...place, sequence, what });
  }

  #whole(what: string): void {
    this.#list({ what });
  }

  #list(problem: Problem): void {
    if (this.problems.length < maxListed) this.problems.push(problem);
    else this.unlisted += 1;
  }
}
