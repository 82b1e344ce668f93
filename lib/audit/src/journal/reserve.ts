import type { SegmentFile } from '../file-layer.js';

/** How far ahead space is allocated for ordinary records, in bytes. */
const stepBytes = 64 * 1024;

/**
 * Disk space allocated to a segment beyond its end. Ordinary records leave a reserve, so that on a full disk calls that
 * end something can still be recorded; only they may use it.
 */
export class Reserve {
  /** False when the file system cannot reserve space; records are then written while there is space. */
  offered = true;
  readonly #bytes: number;
  /** Offset up to which the segment's space is allocated. */
  #end = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /**
   * Called before `length` bytes are written at `size`. Throws the system's error when the reserve would not remain.
   */
  ordinary(segment: SegmentFile, size: number, length: number): void {
    const need = size + length + this.#bytes;
    if (need <= this.#end) return;
    try {
      this.#allocate(segment, size, need + stepBytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      this.#allocate(segment, size, need);
    }
  }

  /** The same for records that may use the reserve. */
  urgent(segment: SegmentFile, size: number, length: number): void {
    const need = size + length;
    if (need > this.#end) this.#allocate(segment, size, need);
  }

  /** Allocates the reserve of a segment that is not written yet. Returns the argument for `enter`. */
  of(segment: SegmentFile): number {
    if (!this.offered) return 0;
    this.offered = segment.allocate(0, this.#bytes);
    return this.#bytes;
  }

  /** Continues with another segment, or with one that was truncated. */
  enter(end: number): void {
    this.#end = end;
  }

  #allocate(segment: SegmentFile, size: number, end: number): void {
    if (!this.offered) return;
    this.offered = segment.allocate(size, end);
    this.#end = end;
  }
}
