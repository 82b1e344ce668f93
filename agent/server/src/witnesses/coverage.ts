/** Times are kept for so many parts of the period. A record can count as older than it is by one part. */
const parts = 64;
const maxMarks = 4 * parts;

/** The records from one on, until the next mark. */
interface Mark {
  /** Number of records before them. */
  readonly before: number;
  /** When the first of them was written, in ms of a monotonic clock. */
  readonly since: number;
}

/**
 * The age of the oldest record that no cosigned checkpoint covers: the period of `required_within`. It begins with the first
 * record, and while every record is covered there is none, so that a log without new records never becomes overdue.
 */
export class Coverage {
  readonly #partMs: number;
  #marks: Mark[] = [];
  #size = 0;
  #covered = 0;

  constructor(periodMs: number) {
    this.#partMs = periodMs / parts;
  }

  /** Called after records were written: there are `size` now. */
  written(size: number, now: number): void {
    if (size <= this.#size) return;
    const last = this.#marks.at(-1);
    if (last === undefined || now - last.since >= this.#partMs)
      this.#marks.push({ before: this.#size, since: now });
    this.#size = size;
    if (this.#marks.length > maxMarks) this.#thin();
  }

  /** Called when the quorum has cosigned the tree of the first `size` records. */
  covered(size: number): void {
    this.#covered = Math.max(this.#covered, size);
    if (this.#covered >= this.#size) this.#marks = [];
    const first = this.#marks.findLastIndex(({ before }) => before <= this.#covered);
    if (first > 0) this.#marks = this.#marks.slice(first);
  }

  /** Returns the age of the oldest record that is not covered, in ms; undefined if all are. */
  ageMs(now: number): number | undefined {
    const [oldest] = this.#marks;
    return oldest === undefined ? undefined : now - oldest.since;
  }

  /** Keeps the first and every second of the others, whose records then count as older. */
  #thin(): void {
    this.#marks = this.#marks.filter((_, index) => index % 2 === 0);
  }
}
