import { StoreError } from './own-file.js';

export interface StoreSpaceOptions {
  /** Limit of bytes. */
  readonly max: number;
  /** Returns the bytes that are stored. */
  readonly measure: () => Promise<number>;
  /** Returns the bytes that the file system has free for this user. */
  readonly free: () => Promise<number>;
  /** Between two looks whether there is room again. */
  readonly everyMs: number;
  /** Is called when the store has become full, with the reason, and when it has room again. */
  readonly onChange: (why: string | undefined) => void;
}

/** What a guest takes beside the bytes of its logs and notes: a directory, and parts of blocks. */
const ofGuest = 16 * 1024;

/** A full store has room again when as much is free: otherwise it would be full again with the next record. */
const headroom = (max: number): number => Math.min(16 * 1024 * 1024, max / 16);

/** Errors of a file system without space, and for a user without space in it. Of the latter nothing says how much is left. */
const noSpace: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT']);

/** Why a store is full: by its limit nothing is written; of the disk each write is tried. */
interface Full {
  readonly kind: 'limit' | 'ENOSPC' | 'EDQUOT';
  readonly why: string;
}

/**
 * The space of all logs of guests in a store. When the limit is reached, or the file system is full, nothing that is stored is
 * removed: writes fail, and guests send their records again once there is room.
 */
export class StoreSpace {
  readonly #options: StoreSpaceOptions;
  #used = 0;
  #full: Full | undefined;
  /** Bytes of the write that has made it full, by its limit. */
  #refused = 0;
  /** A write has succeeded since the last one for which there was no space. */
  #written = false;
  #looked = 0;
  #looking = false;

  constructor(options: StoreSpaceOptions) {
    this.#options = options;
  }

  /** Returns what so many guests with `bytes` of logs and notes take. */
  static of(guests: number, bytes: number): number {
    return guests * ofGuest + bytes;
  }

  /** Bytes that are stored. */
  get used(): number {
    return this.#used;
  }

  get isFull(): boolean {
    return this.#full !== undefined;
  }

  /** Reads how much is stored. */
  async open(): Promise<void> {
    this.#used = await this.#options.measure();
    if (this.#used > this.#options.max) this.#limit(0);
  }

  /** Throws a StoreError if the limit is reached. */
  check(): void {
    if (this.#full?.kind === 'limit') throw this.#limitError();
  }

  /**
   * Writes what takes so many bytes more. Throws a StoreError if the limit does not allow it, or the error of the write, of which
   * nothing is stored then.
   */
  async write<T>(bytes: number, write: () => Promise<T>): Promise<T> {
    this.check();
    if (this.#used + bytes > this.#options.max) {
      this.#limit(bytes);
      throw this.#limitError();
    }
    return await this.writeAnyway(bytes, write);
  }

  /** The same for what must be written whatever the limit, and is bounded otherwise. */
  async writeAnyway<T>(bytes: number, write: () => Promise<T>): Promise<T> {
    this.#used += bytes;
    try {
      const written = await write();
      this.#written ||= bytes > 0;
      return written;
    } catch (error) {
      this.#used -= bytes;
      const { code, message } = error as NodeJS.ErrnoException;
      if (noSpace.has(code)) this.#noSpace(code === 'EDQUOT' ? code : 'ENOSPC', message);
      throw error;
    }
  }

  /** Counts a new guest, and makes its directory. Throws as `write`. */
  async makeGuest(make: () => Promise<void>): Promise<void> {
    await this.write(ofGuest, make);
  }

  /** Looks whether a full store has room again, not more often than it may. What was moved away is found by this. */
  async refresh(): Promise<void> {
    const { max, measure, free, everyMs } = this.#options;
    const now = performance.now();
    if (this.#full === undefined || this.#looking || now - this.#looked < everyMs) return;
    this.#looking = true;
    try {
      if (this.#full.kind === 'limit') {
        this.#used = await measure();
        if (this.#used <= max - Math.max(headroom(max), this.#refused)) this.#change(undefined);
      } else if (this.#written || (this.#full.kind === 'ENOSPC' && (await free()) >= headroom(max)))
        this.#change(undefined);
    } finally {
      this.#looked = performance.now();
      this.#looking = false;
    }
  }

  #noSpace(kind: 'ENOSPC' | 'EDQUOT', why: string): void {
    this.#written = false;
    if (this.#full === undefined) this.#change({ kind, why });
  }

  #limit(refused: number): void {
    this.#refused = refused;
    if (this.#full?.kind !== 'limit') this.#change({ kind: 'limit', why: this.#limitError().message });
  }

  #limitError(): StoreError {
    return new StoreError(
      `the logs of all guests have ${this.#used} bytes, and --store-max is ${this.#options.max}`,
      'move directories of guests that are gone out of guests/ of the store, or start the realm with a larger --store-max',
    );
  }

  #change(full: Full | undefined): void {
    this.#full = full;
    this.#looked = performance.now();
    this.#options.onChange(full?.why);
  }
}
