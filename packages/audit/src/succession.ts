import { type FileLayer, removeIfThere, type SegmentFile } from './file-layer.js';
import { writeNextKept } from './kept/kept-file.js';
import { nextKeptPath } from './kept/kept-path.js';
import type { Present } from './kept/present.js';
import type { RemovedSummary } from './record.js';
import type { ClosedSegment } from './recover.js';
import type { Reserve } from './reserve.js';
import { addRemoved } from './rotate.js';
import { closedNumbers, segmentPath } from './segments.js';

/** What has to be there before a segment may be closed. */
export interface Successor {
  /** What is gone once the rotation is done. Its kept records are on the disk already. */
  readonly removed: RemovedSummary | undefined;
}

/** What the log holds beside its active segment. */
export interface Past {
  readonly closed: readonly ClosedSegment[];
  readonly removed: RemovedSummary | undefined;
}

/** The segment that will be the active one, empty. */
export function nextPath(file: string): string {
  return `${file}.next`;
}

/**
 * Makes ready what a rotation needs, before it: the next segment with its reserve, and the file of the records that outlive
 * the segments which have to go. So a rotation itself takes no space and hardly any time, and one that could not be
 * finished is not begun.
 */
export class Succession {
  readonly #file: string;
  readonly #files: FileLayer;
  readonly #keep: number;
  readonly #keptBytes: number;
  readonly #present: () => Present;
  readonly #reserve: Reserve;
  #segment: SegmentFile | undefined;
  #reservedBytes = 0;
  #early: Promise<Successor | undefined> | undefined;
  #ready: Successor | undefined;

  constructor(
    options: {
      readonly file: string;
      readonly files: FileLayer;
      readonly keep: number;
      readonly keptBytes: number;
      readonly present: () => Present;
    },
    reserve: Reserve,
  ) {
    const { file, files, keep, keptBytes, present } = options;
    this.#file = file;
    this.#files = files;
    this.#keep = keep;
    this.#keptBytes = keptBytes;
    this.#present = present;
    this.#reserve = reserve;
  }

  /** Begins in the background; once for each segment. */
  begin(past: Past): void {
    // Should it fail, the rotation tries again, and that failure is the log's.
    this.#early ??= this.#make(past).catch(() => undefined);
  }

  async ready(past: Past): Promise<Successor> {
    this.#ready ??= await this.#early;
    this.#ready ??= await this.#make(past);
    return this.#ready;
  }

  /** The next segment, for whoever puts it into its place, and how much of it is reserved. */
  async segment(): Promise<{ readonly file: SegmentFile; readonly reserved: number }> {
    this.#segment ??= await this.#makeSegment();
    return { file: this.#segment, reserved: this.#reservedBytes };
  }

  /** The segment has its place. */
  done(): void {
    this.#segment = undefined;
    this.#early = undefined;
    this.#ready = undefined;
  }

  /** Lets go of what was made ready. It is removed too, unless a rotation that was begun needs it at the next start. */
  async close(begun: boolean): Promise<void> {
    await this.#early;
    await this.#segment?.close();
    if (!begun) await this.clear();
  }

  /** Removes what was made ready for a rotation that was not begun. */
  async clear(): Promise<void> {
    await removeIfThere(nextPath(this.#file), this.#files);
    await removeIfThere(nextKeptPath(this.#file), this.#files);
  }

  async #make({ closed, removed }: Past): Promise<Successor> {
    // First, since it is the cheaper one where there is no space.
    await this.segment();
    const leaving = closed.slice(0, Math.max(0, closed.length + 1 - this.#keep));
    const summary = addRemoved(removed, leaving);
    if (summary === undefined || leaving.length === 0) return { removed };
    const paths = (await closedNumbers(this.#file))
      .reverse()
      .slice(0, leaving.length)
      .map((number) => segmentPath(this.#file, number));
    // Whatever is made from here on has its records in segments that stay.
    const options = { files: this.#files, budget: this.#keptBytes, present: this.#present() };
    const kept = await writeNextKept(this.#file, paths, options);
    return { removed: { ...summary, kept } };
  }

  async #makeSegment(): Promise<SegmentFile> {
    const path = nextPath(this.#file);
    await removeIfThere(path, this.#files);
    const segment = await this.#files.append(path, { fresh: true });
    try {
      this.#reservedBytes = this.#reserve.of(segment);
      return segment;
    } catch (error) {
      await segment.close();
      throw error;
    }
  }
}
