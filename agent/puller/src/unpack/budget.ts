import { LayerError } from './layer-error.js';

const MiB = 1024 * 1024;

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

const page = 4096;
/** Kernel memory of a file or directory of a tmpfs, besides its content: measured, with names of one character. */
const inode = 1280;

/** Counts what an image has used of its limits. Each method throws a LayerError for what goes beyond. */
export class Budget {
  readonly limits: UnpackLimits;
  readonly #now: () => number;
  readonly #started: number;
  #bytes = 0;
  #stored = 0;
  #entries = 0;
  #files = 0;
  #names = 0;
  #layerIn = 0;
  #layerOut = 0;

  /** `now` returns milliseconds of a monotonic clock. */
  constructor(limits: UnpackLimits, now: () => number = () => performance.now()) {
    this.limits = limits;
    this.#now = now;
    this.#started = now();
  }

  get bytes(): number {
    return this.#bytes;
  }

  get entries(): number {
    return this.#entries;
  }

  /** Regular files with content of their own. */
  get files(): number {
    return this.#files;
  }

  get milliseconds(): number {
    return this.#now() - this.#started;
  }

  beginLayer(): void {
    this.#names = this.#layerIn = this.#layerOut = 0;
  }

  compressed(bytes: number): void {
    this.#layerIn += bytes;
  }

  uncompressed(bytes: number): void {
    const { limits } = this;
    this.#bytes += bytes;
    this.#layerOut += bytes;
    within('uncompressed bytes', this.#bytes, limits.bytes);
    if (this.#layerOut > limits.ratioAfter && this.#layerOut > this.#layerIn * limits.ratio)
      throw new LayerError(
        'limit',
        `a layer expands to more than ${limits.ratio} times its size\nhelp: build the image again, or raise the limit`,
      );
    this.time();
  }

  /** An entry, or a directory that an entry's name implies. */
  entry(nameLength: number): void {
    this.#entries += 1;
    this.#names += nameLength;
    within('entries', this.#entries, this.limits.entries);
    within('bytes of names', this.#names, this.limits.nameBytes);
    this.#store(inode);
  }

  /** A file's content, in whole pages: a million files of one byte need 4 GB of a tmpfs. */
  file(size: number): void {
    this.#files += 1;
    this.#store(Math.ceil(size / page) * page);
  }

  /** Both together: 160 kB of layers can have a million directories, 1.2 GB of the kernel's memory. */
  #store(bytes: number): void {
    this.#stored += bytes;
    within('bytes of files and directories', this.#stored, this.limits.bytes);
  }

  time(): void {
    if (this.milliseconds > this.limits.milliseconds)
      throw new LayerError(
        'limit',
        `the image is not unpacked after ${this.limits.milliseconds} ms\nhelp: raise the limit`,
      );
  }
}

function within(what: string, value: number, limit: number): void {
  if (value > limit)
    throw new LayerError(
      'limit',
      `the image has more than ${limit} ${what}\nhelp: raise the limit, or use a smaller image`,
    );
}
