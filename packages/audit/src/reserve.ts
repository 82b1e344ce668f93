import type { SegmentFile } from './file-layer.js';

/** How far ahead ordinary records have their space allocated. */
const stepBytes = 64 * 1024;

/**
 * Space that a segment has beyond what is written. Ordinary records leave a reserve, so that on a full disk the calls which
 * end something can still be recorded: they alone may use it.
 */
export class Reserve {
  /** False: the file system cannot reserve space; then records are written as long as there is room. */
  offered = true;
  readonly #bytes: number;
  /** Offset up to which the segment's space is allocated. */
  #end = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Before `length` bytes are written at `size`. Throws the system's error when the reserve would not be left. */
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

  /** The same for what may use the reserve. */
  urgent(segment: SegmentFile, size: number, length: number): void {
    const need = size + length;
    if (need > this.#end) this.#allocate(segment, size, need);
  }

  /** For a segment that is not written yet. Returns what `enter` takes. */
  of(segment: SegmentFile): number {
    if (!this.offered) return 0;
    this.offered = segment.allocate(0, this.#bytes);
    return this.#bytes;
  }

  /** Goes on with another segment, or with one whose end was cut away. */
  enter(end: number): void {
    this.#end = end;
  }

  #allocate(segment: SegmentFile, size: number, end: number): void {
    if (!this.offered) return;
    this.offered = segment.allocate(size, end);
    this.#end = end;
  }
}
