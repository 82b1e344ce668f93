import { dirname } from 'node:path';
import { seal } from './chain.js';
import type { Clock } from './clock.js';
import type { FileLayer, SegmentFile } from './file-layer.js';
import { settleKept } from './kept/kept-file.js';
import type { Present } from './kept/present.js';
import type { Position, RecordBody, RemovedSummary } from './record.js';
import { type ClosedSegment, type Found, recover } from './recover.js';
import { Reserve } from './reserve.js';
import { deleteRemoved, renumber } from './rotate.js';
import { nextPath, type Past, Succession } from './succession.js';
import { Tally } from './tally.js';

/** At most; of small segments it is half of them. */
const reserveBytes = 128 * 1024;
/** The space of records that outlive their segments: a quarter of a segment's, but not less than this. */
const leastKeptBytes = 64 * 1024;

/** What waits to be written. Without a body: nothing, but what was written before is to be durable. */
export interface Entry {
  readonly body: RecordBody | undefined;
  readonly monotonic: bigint;
  readonly wall: number;
  readonly durable: boolean;
  /** It may be written into the reserve, where there is no other space. */
  readonly urgent?: boolean;
}

export interface JournalOptions {
  readonly file: string;
  readonly files: FileLayer;
  readonly clock: Clock;
  readonly bootId: string;
  /** Bytes; a segment that has reached them is closed. */
  readonly maxSize: number;
  /** Closed segments that are kept. */
  readonly keep: number;
  /** Asked when records are chosen that outlive their segments. */
  readonly present: () => Present;
}

interface Batch {
  readonly entries: readonly Entry[];
  /** How many of them are in it. */
  readonly count: number;
  readonly bytes: Buffer;
  readonly durable: boolean;
  /** Where the log stands once it is written. */
  readonly head: Position;
}

/**
 * The chained segments on the disk. One write at a time; a write that fails leaves no trace, so that the same
 * journal can go on as soon as the disk lets it.
 */
export class Journal {
  /** Bytes of a torn last line that were cut away. */
  readonly cutBytes: number;
  readonly #options: JournalOptions;
  readonly #reserve: Reserve;
  readonly #succession: Succession;
  #segment: SegmentFile;
  #size: number;
  #head: Position;
  #start: Position;
  #tally: Tally;
  #closed: readonly ClosedSegment[];
  #removed: RemovedSummary | undefined;
  #closing: boolean;
  /** The segment may hold bytes beyond `#size`. */
  #torn: boolean;
  /** The segment's name may not be on the disk yet. */
  #unnamed = true;

  private constructor(options: JournalOptions, segment: SegmentFile, found: Found) {
    this.#options = options;
    this.#segment = segment;
    this.cutBytes = found.tornBytes;
    this.#size = found.size;
    this.#head = found.head;
    this.#start = found.start;
    this.#tally = found.tally;
    this.#closed = found.closed;
    this.#removed = found.removed;
    this.#closing = found.closing;
    this.#torn = found.tornBytes > 0;
    this.#reserve = new Reserve(Math.min(reserveBytes, options.maxSize / 2));
    const keptBytes = Math.max(leastKeptBytes, options.maxSize / 4);
    this.#succession = new Succession({ ...options, keptBytes }, this.#reserve);
  }

  /** Opens or makes the log, cuts a torn last line away, and finishes a rotation that was interrupted. */
  static async open(options: JournalOptions): Promise<Journal> {
    const segment = await options.files.append(options.file, { fresh: false });
    try {
      const journal = new Journal(options, segment, await recover(options.file));
      await journal.#mend();
      await journal.#dropRemoved();
      await journal.#succession.clear();
      journal.#reserve.ordinary(journal.#segment, journal.#size, 0);
      return journal;
    } catch (error) {
      await segment.close();
      throw error;
    }
  }

  get head(): Position {
    return this.#head;
  }

  /** False: what ends something cannot be recorded either once the disk is full. */
  get hasReserve(): boolean {
    return this.#reserve.offered;
  }

  /**
   * Writes the first of `entries`, as many as fit the segment, and at least one; durably if one of those asks.
   * Returns how many. When it throws, none was written.
   */
  async commit(entries: readonly Entry[]): Promise<number> {
    await this.#mend();
    if (this.#size >= this.#options.maxSize) await this.#rotate();
    const batch = this.#seal(entries);
    this.#reserve.ordinary(this.#segment, this.#size, batch.bytes.length);
    await this.#append(batch.bytes, batch.durable);
    this.#advance(batch);
    if (this.#size >= this.#options.maxSize / 2) this.#succession.begin(this.#past);
    return batch.count;
  }

  /** Writes all of `entries` into the reserve, where there is no room for a rotation. When it throws, none was written. */
  async commitUrgent(entries: readonly Entry[]): Promise<void> {
    await this.#mend();
    const batch = this.#seal(entries, Number.POSITIVE_INFINITY);
    this.#reserve.urgent(this.#segment, this.#size, batch.bytes.length);
    await this.#append(batch.bytes, batch.durable);
    this.#advance(batch);
  }

  /** The same for the end of the process, where nothing can be waited for. Writes all, in this segment. */
  commitNow(entries: readonly Entry[]): void {
    // What is torn or half rotated needs calls that take time: the next start mends it.
    if (this.#torn || this.#closing) return;
    const batch = this.#seal(entries, Number.POSITIVE_INFINITY);
    this.#torn = true;
    for (let rest = batch.bytes; rest.length > 0; ) rest = rest.subarray(this.#segment.writeNow(rest));
    this.#torn = false;
    this.#advance(batch);
  }

  async close(): Promise<void> {
    try {
      await this.#succession.close(this.#torn || this.#closing);
    } finally {
      await this.#segment.close();
    }
  }

  get #past(): Past {
    return { closed: this.#closed, removed: this.#removed };
  }

  #seal(entries: readonly Entry[], room: number = this.#options.maxSize - this.#size): Batch {
    let head = this.#head;
    let size = 0;
    let durable = false;
    let count = 0;
    const lines: string[] = [];
    const { bootId: boot } = this.#options;
    // Entries of a batch mostly share their millisecond, and to format it costs as much as the hash.
    let lastWall = Number.NaN;
    let wall = '';
    for (const entry of entries) {
      if (count > 0 && size >= room) break;
      durable ||= entry.durable;
      count += 1;
      if (entry.body === undefined) continue;
      if (entry.wall !== lastWall) wall = new Date(entry.wall).toISOString();
      lastWall = entry.wall;
      const sealed = seal(entry.body, head, { boot, monotonic: entry.monotonic, wall });
      head = sealed.position;
      size += sealed.line.length;
      lines.push(sealed.line);
    }
    return { bytes: Buffer.from(lines.join(''), 'latin1'), durable, count, head, entries };
  }

  #advance(batch: Batch): void {
    this.#head = batch.head;
    this.#size += batch.bytes.length;
    for (const { body } of batch.entries.slice(0, batch.count)) {
      if (body !== undefined) this.#tally.add(body);
    }
  }

  async #append(bytes: Buffer, durable: boolean): Promise<void> {
    this.#torn = true;
    for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(await this.#segment.write(rest));
    if (durable) {
      await this.#segment.datasync();
      if (this.#unnamed) await this.#options.files.syncDirectory(dirname(this.#options.file));
      this.#unnamed = false;
    }
    this.#torn = false;
  }

  async #mend(): Promise<void> {
    if (this.#torn) {
      await this.#segment.truncate(this.#size);
      this.#reserve.enter(this.#size);
      this.#torn = false;
    }
    if (this.#closing) await this.#startSegment();
  }

  /** Ends the segment with a record of what it holds, and of what has to go to make room. */
  async #rotate(): Promise<void> {
    const { removed } = await this.#succession.ready(this.#past);
    const summary = { after: this.#start, last: this.#head, counts: this.#tally.counts() };
    const body: RecordBody = { kind: 'rotated', segment: summary, removed };
    const { bootId: boot, clock } = this.#options;
    const time = { boot, monotonic: clock.monotonic(), wall: new Date(clock.wall()).toISOString() };
    const sealed = seal(body, this.#head, time);
    // The next segment has a reserve of its own.
    this.#reserve.urgent(this.#segment, this.#size, sealed.line.length);
    await this.#append(Buffer.from(sealed.line, 'latin1'), true);
    this.#head = sealed.position;
    this.#size += sealed.line.length;
    this.#closed = [...this.#closed, { summary, end: sealed.position }];
    this.#removed = removed;
    this.#closing = true;
    await this.#startSegment();
  }

  /** What follows the `rotated` record; done again from the start when it was interrupted. */
  async #startSegment(): Promise<void> {
    const { file, files } = this.#options;
    await this.#dropRemoved();
    // Lets go of what is reserved beyond its end.
    await this.#segment.truncate(this.#size);
    const next = await this.#succession.segment();
    await renumber(file, files);
    await files.rename(nextPath(file), file);
    const old = this.#segment;
    this.#segment = next.file;
    this.#reserve.enter(next.reserved);
    this.#succession.done();
    this.#unnamed = true;
    this.#size = 0;
    this.#start = this.#head;
    this.#tally = new Tally();
    this.#closing = false;
    await old.close();
  }

  async #dropRemoved(): Promise<void> {
    const { file, files } = this.#options;
    const removed = this.#removed;
    if (removed === undefined) return;
    await settleKept(file, removed.kept, files);
    await deleteRemoved(file, removed, files);
    this.#closed = this.#closed.filter(({ end }) => end.sequence > removed.last.sequence);
  }
}
