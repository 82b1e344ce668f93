/** Bounds on an image. A hostile registry chooses every byte of its layers, and a few kilobytes can expand to terabytes. */
export interface UnpackLimits {
  /** Uncompressed bytes of all layers, headers and padding included. */
  readonly bytes: number;
  /** Entries of all layers. */
  readonly entries: number;
  /** Components of a name. */
  readonly depth: number;
  /** Bytes of a name, and of the target of a link. */
  readonly nameLength: number;
  /** Bytes of all names of a layer: they are remembered until its end. */
  readonly nameBytes: number;
  /** Bytes of an entry's extended header. */
  readonly headerBytes: number;
  /** Uncompressed by compressed bytes, checked after the first `ratioAfter` uncompressed bytes of a layer. */
  readonly ratio: number;
  readonly ratioAfter: number;
  readonly milliseconds: number;
  /** zstd: a frame may need 2^windowLog bytes of memory. */
  readonly windowLog: number;
}

const MiB = 1024 * 1024;

/** Limits that hold unless the configuration sets others. */
export const defaultLimits: UnpackLimits = {
  bytes: 8 * 1024 * MiB,
  entries: 1_000_000,
  depth: 128,
  nameLength: 4095,
  nameBytes: 64 * MiB,
  headerBytes: MiB,
  ratio: 200,
  ratioAfter: 64 * MiB,
  milliseconds: 10 * 60 * 1000,
  windowLog: 27,
};
