import { completeLines } from '../../store/complete-lines.js';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { joinLines } from '../../store/log-storage.js';
import { StoreError } from '../../store/store-error.js';
import { writeFileAtomically } from '../../store/write-file-atomically.js';
import { readOwnFile } from '../../store/own-file.js';

/** How many of the last lines are kept. At least one. */
export interface KeptLines {
  readonly lines: number;
  readonly bytes: number;
}

/** The file is not replaced before it has as many: that takes longer than to append. */
const minLines = 1_024;
const minBytes = 512 * 1024;

/**
 * The last lines of a log that were sent, in a file: `{"first":N}`, the sequence number of the log's first record, and then the
 * lines. It is appended to, and replaced when it has twice as many as it needs.
 */
export class SentFile {
  readonly #path: string;
  readonly #keep: KeptLines;
  #file: FileHandle | undefined;
  #first: number | undefined;
  #lines: Buffer[];
  /** Of the lines in the file, of which the last are kept. */
  #written: { lines: number; bytes: number };
  /** The file may have more than `#lines`. */
  #torn: boolean;

  private constructor(
    path: string,
    keep: KeptLines,
    first: number | undefined,
    lines: Buffer[],
    torn: boolean,
  ) {
    this.#path = path;
    this.#keep = keep;
    this.#first = first;
    this.#lines = lines;
    this.#written = { lines: lines.length, bytes: bytesOf(lines) };
    this.#torn = torn;
  }

  /** Reads the file, which can be missing; a torn last line is left out. Throws a StoreError if it is not of this form. */
  static async open(path: string, keep: KeptLines): Promise<SentFile> {
    const bytes = (await readOwnFile(path)) ?? Buffer.alloc(0);
    const [head, ...lines] = completeLines(bytes);
    if (head === undefined) return new SentFile(path, keep, undefined, [], bytes.length > 0);
    const first = Number(/^\{"first":(\d{1,16})\}$/.exec(head.toString('latin1'))?.[1] ?? 0);
    if (first === 0 || lines.length === 0)
      throw new StoreError(
        `${path} is not a position of a collector`,
        'something else has written it: move it away; records that were sent are then sent again',
      );
    const sent = new SentFile(path, keep, first, lines, bytes.at(-1) !== 0x0a);
    sent.#drop();
    return sent;
  }

  /** The sequence number of the first record of the log. */
  get first(): number | undefined {
    return this.#first;
  }

  /** The last lines, oldest first. */
  get lines(): readonly Buffer[] {
    return this.#lines;
  }

  /** Adds lines that were sent; `first` is the sequence number of the first of them. */
  async append(lines: readonly Buffer[], first: number): Promise<void> {
    // Copies: they are parts of frames, which they would keep in memory.
    this.#lines.push(...lines.slice(-this.#keep.lines).map((line) => Buffer.from(line)));
    this.#drop();
    const isNew = this.#first === undefined;
    this.#first ??= first;
    const added = this.#lines.slice(-lines.length);
    const bytes = bytesOf(added);
    const max = Math.max(this.#keep.lines, minLines);
    const maxBytes = Math.max(this.#keep.bytes, minBytes);
    const { lines: count, bytes: size } = this.#written;
    if (isNew || this.#torn || count + added.length > 2 * max || size + bytes > 2 * maxBytes) {
      await this.#replace();
      return;
    }
    this.#torn = true;
    this.#file ??= await open(this.#path, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW);
    await this.#file.appendFile(joinLines(added));
    this.#written = { lines: count + added.length, bytes: size + bytes };
    this.#torn = false;
  }

  /** Makes it durable. Without it, a crash of the machine makes more records be sent again. */
  async sync(): Promise<void> {
    await this.#file?.datasync();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    try {
      await file.datasync();
    } finally {
      await file.close();
    }
  }

  async #replace(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
    this.#torn = true;
    await writeFileAtomically(
      this.#path,
      `{"first":${this.#first}}\n${joinLines(this.#lines).toString('latin1')}`,
    );
    this.#written = { lines: this.#lines.length, bytes: bytesOf(this.#lines) };
    this.#torn = false;
  }

  #drop(): void {
    let { length } = this.#lines;
    let bytes = bytesOf(this.#lines);
    let from = 0;
    for (; length > 1 && (length > this.#keep.lines || bytes > this.#keep.bytes); length -= 1, from += 1)
      bytes -= (this.#lines[from]?.length ?? 0) + 1;
    if (from > 0) this.#lines = this.#lines.slice(from);
  }
}

function bytesOf(lines: readonly Buffer[]): number {
  return lines.reduce((sum, { length }) => sum + length + 1, 0);
}
