import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Semaphore } from '@kata-agent/base';
import {
  type FileLayer,
  lastLine,
  LineReader,
  positionOf,
  readRecord,
  type SegmentFile,
} from '@kata-agent/audit';
import { fileBeside, StoreError } from './own-file.js';
import { type BesideName, joinLines, type LastRecord, type StoredLog } from './log-storage.js';
import type { StoreSpace } from './store-space.js';

/** How a chain file is written. */
export interface ChainFileOptions {
  readonly files: FileLayer;
  /** Shared by all files: writes that a slow disk delays do not take all threads of the process. */
  readonly slots: Semaphore;
  readonly space: StoreSpace;
}

/** The records of one log in a file, exactly as they arrived: each a line. It is only appended to. */
export class ChainFile implements StoredLog {
  readonly path: string;
  readonly #file: SegmentFile;
  readonly #slots: Semaphore;
  readonly #space: StoreSpace;
  #size: number;
  #first: number | undefined;
  #last: LastRecord | undefined;
  #dirty = false;
  /** The file may have more bytes than `#size`. */
  #torn = false;

  private constructor(
    path: string,
    file: SegmentFile,
    { slots, space }: Pick<ChainFileOptions, 'slots' | 'space'>,
    found: Found,
  ) {
    this.path = path;
    this.#file = file;
    this.#slots = slots;
    this.#space = space;
    this.#size = found.size;
    this.#first = found.first;
    this.#last = found.last;
  }

  /** Opens or creates a file, and cuts a torn last line. Throws a StoreError if its last line is not a record. */
  static async open(path: string, { files, ...shared }: ChainFileOptions): Promise<ChainFile> {
    const { slots } = shared;
    return await slots.run(async () => {
      const found = await find(path);
      const file = await files.append(path, { fresh: false });
      try {
        if (found.torn) await file.truncate(found.size);
        return new ChainFile(path, file, shared, found);
      } catch (error) {
        await file.close();
        throw error;
      }
    });
  }

  /** Bytes of complete lines. */
  get size(): number {
    return this.#size;
  }

  /** The sequence number of the first record. */
  get first(): number | undefined {
    return this.#first;
  }

  get last(): LastRecord | undefined {
    return this.#last;
  }

  /**
   * Appends lines, which are the records after the last one. When it throws, none was written; a StoreError: the store is full.
   */
  async append(lines: readonly Buffer[], first: number, last: LastRecord): Promise<void> {
    const bytes = joinLines(lines);
    await this.#space.write(bytes.length, () => this.#append(bytes, first, last));
  }

  /** Throws a StoreError if the store is full. Nothing else can have changed: this process alone writes the file. */
  async refresh(): Promise<void> {
    this.#space.check();
  }

  async #append(bytes: Buffer, first: number, last: LastRecord): Promise<void> {
    await this.#slots.run(async () => {
      await this.#repair();
      this.#torn = true;
      try {
        for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(await this.#file.write(rest));
      } catch (error) {
        await this.#repair().catch(() => undefined);
        throw error;
      }
      this.#torn = false;
      this.#dirty = true;
      this.#size += bytes.length;
      this.#first ??= first;
      // A copy: the line is a part of a frame, which it would keep in memory.
      this.#last = { position: last.position, line: Buffer.from(last.line) };
    });
  }

  async beside(name: BesideName): Promise<string | undefined> {
    return await this.#slots.run(() => fileBeside(this.path, name).read());
  }

  async putBeside(name: BesideName, text: string): Promise<void> {
    await this.#slots.run(() => fileBeside(this.path, name).write(text));
  }

  /** Makes what is written durable. */
  async sync(): Promise<void> {
    if (!this.#dirty) return;
    this.#dirty = false;
    try {
      await this.#slots.run(() => this.#file.datasync());
    } catch (error) {
      this.#dirty = true;
      throw error;
    }
  }

  async close(): Promise<void> {
    try {
      await this.sync();
    } finally {
      await this.#file.close();
    }
  }

  async #repair(): Promise<void> {
    if (this.#torn) await this.#file.truncate(this.#size);
    this.#torn = false;
  }
}

interface Found {
  readonly size: number;
  readonly torn: boolean;
  readonly first: number | undefined;
  readonly last: LastRecord | undefined;
}

/** Reads the first and the last line. `audit verify` checks the others. */
async function find(path: string): Promise<Found> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return { size: 0, torn: false, first: undefined, last: undefined };
    throw error;
  }
  try {
    const { line, end, tornBytes } = await lastLine(handle);
    const torn = tornBytes > 0;
    if (line === undefined) return { size: 0, torn, first: undefined, last: undefined };
    const last = readRecord(line);
    const first = await firstRecord(handle);
    if (!last.ok || first === undefined)
      throw damaged(path, last.ok ? 'its first line is no record' : last.what);
    return {
      size: end,
      torn,
      first,
      last: { position: positionOf(last.record), line: Buffer.from(line) },
    };
  } finally {
    await handle.close();
  }
}

async function firstRecord(handle: FileHandle): Promise<number | undefined> {
  const reader = new LineReader(handle);
  for (let lines = await reader.next(); lines !== undefined; lines = await reader.next()) {
    const [line] = lines;
    if (line === undefined) continue;
    const read = readRecord(line);
    return read.ok ? read.record.sequence : undefined;
  }
  return undefined;
}

function damaged(path: string, what: string): StoreError {
  return new StoreError(
    `${path} cannot be continued: ${what}`,
    'something else has written to it: move it away, as evidence',
  );
}
