import { type FileLayer, removeIfThere, type SegmentFile } from '../files/file-layer.js';
import { writeNextKept } from '../retention/kept-file.js';
import { nextKeptPath } from '../retention/kept-path.js';
import type { Present } from '../retention/present.js';
import type { RemovedSummary } from '../record/record.js';
import type { ClosedSegment } from './recover.js';
import type { Reserve } from './reserve.js';
import { addRemoved } from './rotate.js';
import { closedNumbers, segmentPath } from '../files/segments.js';

/** What must exist before a segment may be closed. */
export interface Successor {
  /** What is removed once the rotation is done. Its kept records are already on disk. */
  readonly removed: RemovedSummary | undefined;
}

/** What the log contains besides its active segment. */
export interface Past {
  readonly closed: readonly ClosedSegment[];
  readonly removed: RemovedSummary | undefined;
}

/** The path of the next active segment, which is empty. */
export function nextPath(file: string): string {
  return `${file}.next`;
}

/**
 * Prepares a rotation: the next segment with its reserve, and the file of records kept from the segments to be removed.
 * So the rotation itself takes no disk space and little time, and is not started unless it can be completed.
 */
export class RotationPlan {
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

  /** Starts the preparation in the background, once per segment. */
  begin(past: Past): void {
    // A failure here is ignored: the rotation tries again, and reports a failure then.
    this.#early ??= this.#make(past).catch(() => undefined);
  }

  async ready(past: Past): Promise<Successor> {
    this.#ready ??= await this.#early;
    this.#ready ??= await this.#make(past);
    return this.#ready;
  }

  /** Returns the next segment and the size of its reserve. */
  async segment(): Promise<{ readonly file: SegmentFile; readonly reserved: number }> {
    this.#segment ??= await this.#makeSegment();
    return { file: this.#segment, reserved: this.#reservedBytes };
  }

  /** Called when the segment has been renamed. */
  done(): void {
    this.#segment = undefined;
    this.#early = undefined;
    this.#ready = undefined;
  }

  /** Closes the prepared files. They are deleted unless a rotation in progress needs them at the next start. */
  async close(begun: boolean): Promise<void> {
    await this.#early;
    await this.#segment?.close();
    if (!begun) await this.clear();
  }

  /** Deletes what was prepared for a rotation that did not start. */
  async clear(): Promise<void> {
    await removeIfThere(nextPath(this.#file), this.#files);
    await removeIfThere(nextKeptPath(this.#file), this.#files);
  }

  async #make({ closed, removed }: Past): Promise<Successor> {
    // First, because it fails earlier when there is no space.
    await this.segment();
    const leaving = closed.slice(0, Math.max(0, closed.length + 1 - this.#keep));
    const summary = addRemoved(removed, leaving);
    if (summary === undefined || leaving.length === 0) return { removed };
    const paths = (await closedNumbers(this.#file))
      .reverse()
      .slice(0, leaving.length)
      .map((number) => segmentPath(this.#file, number));
    // Anything created from here on has its records in segments that stay.
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
