import { dirname } from 'node:path';
import { Frontier } from '@kata-agent/tlog';
import { seal, type Sealed } from '../chain/chain.js';
import type { Clock } from '../clock.js';
import type { FileLayer, SegmentFile } from '../file-layer.js';
import { settleKept } from '../retention/kept-file.js';
import type { Present } from '../retention/present.js';
import type { Position, RecordBody, RemovedSummary } from '../record/record.js';
import { type ClosedSegment, type Found, recover } from './recover.js';
import { Reserve } from './reserve.js';
import { deleteRemoved, nextPath, type Past, renumber, RotationPlan } from './rotation.js';
import { Tally } from '../coalesce/tally.js';
import { LogTree } from '../tree/log-tree.js';

/** Maximum size of the reserve in bytes; half of the segment if that is smaller. */
const reserveBytes = 128 * 1024;
/** Minimum space for kept records in bytes; otherwise a quarter of a segment. */
const minKeptBytes = 64 * 1024;

/** An entry to write. Without a body it only requires that all earlier entries are durable. */
export interface Entry {
  readonly body: RecordBody | undefined;
  readonly monotonic: bigint;
  readonly wall: number;
  readonly durable: boolean;
  /** It may use the reserve when there is no other space. */
  readonly urgent?: boolean;
}

export interface JournalOptions {
  readonly file: string;
  readonly files: FileLayer;
  readonly clock: Clock;
  readonly bootId: string;
  /** The verifier key of the log, if it is signed. */
  readonly logKey?: string | undefined;
  /** In bytes; a segment that has reached it is closed. */
  readonly maxSize: number;
  /** Number of closed segments to keep. */
  readonly keep: number;
  /** Called when records to outlive their segments are selected. */
  readonly present: () => Present;
}

interface Batch {
  /** Number of entries in the batch. */
  readonly count: number;
  readonly written: readonly { readonly sealed: Sealed; readonly body: RecordBody }[];
  readonly bytes: Buffer;
  readonly durable: boolean;
  /** The position of the log after the batch. */
  readonly head: Position;
}

/**
 * The chained segments on disk. There is one write at a time; a failed write is undone, so that the journal can
 * continue as soon as the disk allows.
 */
export class Journal {
  /** Bytes of a torn last line that were truncated. */
  readonly cutBytes: number;
  /** Of the records that were written since the log was opened, from its boot record on. Some may not be durable yet. */
  readonly tree: LogTree;
  readonly #options: JournalOptions;
  readonly #reserve: Reserve;
  readonly #succession: RotationPlan;
  #segment: SegmentFile;
  #size: number;
  #head: Position;
  #start: Position;
  #tally: Tally;
  #closed: readonly ClosedSegment[];
  #removed: RemovedSummary | undefined;
  #closing: boolean;
  /** The segment may contain bytes beyond `#size`. */
  #torn: boolean;
  /** The segment's directory entry may not be durable yet. */
  #unnamed = true;

  private constructor(options: JournalOptions, segment: SegmentFile, found: Found) {
    this.#options = options;
    this.#segment = segment;
    this.cutBytes = found.tornBytes;
    this.#size = found.size;
    this.#head = found.head;
    this.tree = new LogTree(options.logKey);
    this.#start = found.start;
    this.#tally = found.tally;
    this.#closed = found.closed;
    this.#removed = found.removed;
    this.#closing = found.closing;
    this.#torn = found.tornBytes > 0;
    this.#reserve = new Reserve(Math.min(reserveBytes, options.maxSize / 2));
    const keptBytes = Math.max(minKeptBytes, options.maxSize / 4);
    this.#succession = new RotationPlan({ ...options, keptBytes }, this.#reserve);
  }

  /** Opens or creates the log, truncates a torn last line, and completes an interrupted rotation. */
  static async open(options: JournalOptions): Promise<Journal> {
    const segment = await options.files.append(options.file, { fresh: false });
    try {
      const journal = new Journal(options, segment, await recover(options.file));
      await journal.#repair();
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

  /**
   * Returns the last place where reading may begin to hash the records after the first `size` of this start: a record, and the
   * edge of the tree before it; undefined if they were removed.
   */
  readFrom(size: number): { readonly sequence: number; readonly frontier: Frontier } | undefined {
    const { first } = this.tree;
    const ends = this.#closed.map(({ end, tree }) => ({ last: end, tree }));
    const places = [...(this.#removed === undefined ? [] : [this.#removed]), ...ends]
      .filter(({ last }) => last.sequence >= first)
      .map(({ last, tree }) => ({
        sequence: last.sequence + 1,
        frontier: tree === undefined ? undefined : Frontier.parse(tree.frontier),
      }));
    const isRemoved = this.#removed !== undefined && this.#removed.last.sequence >= first;
    const all = isRemoved ? places : [{ sequence: first, frontier: new Frontier() }, ...places];
    return all.findLast(
      (place): place is { sequence: number; frontier: Frontier } =>
        place.frontier !== undefined && place.frontier.size <= size,
    );
  }

  /** False when calls that end something cannot be recorded on a full disk either. */
  get hasReserve(): boolean {
    return this.#reserve.offered;
  }

  /**
   * Writes the first of `entries`, as many as fit into the segment, but at least one; durably if one of them requires
   * it. Returns their number. When it throws, none was written.
   */
  async commit(entries: readonly Entry[]): Promise<number> {
    await this.#repair();
    if (this.#size >= this.#options.maxSize) await this.#rotate();
    const batch = this.#seal(entries);
    this.#reserve.ordinary(this.#segment, this.#size, batch.bytes.length);
    await this.#append(batch.bytes, batch.durable);
    this.#advance(batch);
    if (this.#size >= this.#options.maxSize / 2) this.#succession.begin(this.#past);
    return batch.count;
  }

  /**
   * Writes all of `entries` into the reserve, when there is no space for a rotation. When it throws, none was written.
   */
  async commitUrgent(entries: readonly Entry[]): Promise<void> {
    await this.#repair();
    const batch = this.#seal(entries, Number.POSITIVE_INFINITY);
    this.#reserve.urgent(this.#segment, this.#size, batch.bytes.length);
    await this.#append(batch.bytes, batch.durable);
    this.#advance(batch);
  }

  /** The synchronous variant for the exit of the process. Writes all entries into this segment. */
  commitNow(entries: readonly Entry[]): void {
    // A torn segment or an interrupted rotation needs asynchronous calls; the next start repairs it.
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
    const written: Batch['written'][number][] = [];
    const { bootId: boot } = this.#options;
    // Entries of a batch mostly share their millisecond, and formatting the time costs as much as the hash.
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
      written.push({ sealed, body: entry.body });
    }
    const bytes = Buffer.from(written.map(({ sealed }) => sealed.line).join(''), 'latin1');
    return { written, bytes, durable, count, head };
  }

  #advance(batch: Batch): void {
    this.#head = batch.head;
    this.#size += batch.bytes.length;
    for (const { sealed, body } of batch.written) {
      this.tree.append(body.kind, sealed.position);
      this.#tally.add(body);
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

  async #repair(): Promise<void> {
    if (this.#torn) {
      await this.#segment.truncate(this.#size);
      this.#reserve.enter(this.#size);
      this.#torn = false;
    }
    if (this.#closing) await this.#startSegment();
  }

  /** Closes the segment with a record that summarizes it and the segments to be removed. */
  async #rotate(): Promise<void> {
    const { removed } = await this.#succession.ready(this.#past);
    const summary = { after: this.#start, last: this.#head, counts: this.#tally.counts() };
    const body: RecordBody = { kind: 'rotated', segment: summary, removed };
    const { bootId: boot, clock } = this.#options;
    const time = { boot, monotonic: clock.monotonic(), wall: new Date(clock.wall()).toISOString() };
    const sealed = seal(body, this.#head, time);
    // The next segment has its own reserve.
    this.#reserve.urgent(this.#segment, this.#size, sealed.line.length);
    await this.#append(Buffer.from(sealed.line, 'latin1'), true);
    this.#head = sealed.position;
    this.#size += sealed.line.length;
    this.tree.append(body.kind, sealed.position);
    const tree = this.tree.text();
    this.#closed = [
      ...this.#closed,
      { summary, end: sealed.position, ...(tree === undefined ? {} : { tree }) },
    ];
    this.#removed = removed;
    this.#closing = true;
    await this.#startSegment();
  }

  /** The steps after the `rotated` record. Restarted from the beginning after an interruption. */
  async #startSegment(): Promise<void> {
    const { file, files } = this.#options;
    await this.#dropRemoved();
    // Frees the space reserved beyond its end.
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
