import { lstat } from 'node:fs/promises';
import { genesis } from '../chain/chain.js';
import { Tally } from '../coalesce/tally.js';
import {
  closedNumbers,
  type FileLayer,
  removeIfThere,
  type SegmentFile,
  segmentPath,
} from '../file-layer.js';
import { nextKeptPath, writeNextKept } from '../retention/kept-file.js';
import type { Present } from '../retention/present.js';
import type { RemovedSummary, Summary } from '../record/record.js';
import { type ClosedSegment, rotatedRecord } from './recover.js';
import type { Reserve } from './reserve.js';

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

/** Returns the summary of all removed records once `segments`, the oldest left, are removed too. */
function addRemoved(
  removed: RemovedSummary | undefined,
  segments: readonly ClosedSegment[],
): Omit<RemovedSummary, 'kept'> | undefined {
  const newest = segments.at(-1);
  if (newest === undefined) return removed;
  const tally = new Tally();
  if (removed !== undefined) tally.merge(removed.counts);
  for (const segment of segments) tally.merge(segment.summary.counts);
  const { tree, end } = newest;
  return { after: genesis, last: end, counts: tally.counts(), ...(tree === undefined ? {} : { tree }) };
}

/**
 * Renames the active segment to number 1, after moving the closed ones up by one. Safe to repeat after an interruption:
 * it only moves segments below the first free number, and none once the active segment has moved.
 */
export async function renumber(file: string, files: FileLayer): Promise<void> {
  if (!(await exists(file))) return;
  const taken = new Set(await closedNumbers(file));
  let free = 1;
  while (taken.has(free)) free += 1;
  for (let number = free; number > 0; number -= 1) {
    await files.rename(segmentPath(file, number - 1), segmentPath(file, number));
  }
}

/** Deletes the closed segments that `removed` summarizes. A segment with an unexpected end is evidence and is kept. */
export async function deleteRemoved(file: string, removed: Summary, files: FileLayer): Promise<void> {
  for (const number of await closedNumbers(file)) {
    const path = segmentPath(file, number);
    const last = await rotatedRecord(path);
    if (last !== undefined && last.sequence <= removed.last.sequence) await files.unlink(path);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
