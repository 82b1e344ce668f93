import type { FileHandle } from 'node:fs/promises';
import { maxLineBytes } from './chain.js';

const chunkBytes = 256 * 1024;
const newline = 0x0a;

/** A line longer than any record: the file is not a log of ours. */
export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
}

/** Reads whole lines from a file that may still grow. Memory is bounded by the longest line. */
export class LineReader {
  readonly #handle: Pick<FileHandle, 'read'>;
  readonly #chunk = Buffer.allocUnsafe(chunkBytes);
  #position: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(handle: Pick<FileHandle, 'read'>, position = 0) {
    this.#handle = handle;
    this.#position = position;
  }

  /**
   * The lines of the next chunk, without their newlines; none if it ended in the middle of the first. Undefined
   * at the end of the file; it may be asked again after the file grew.
   *
   * @throws LineTooLong
   */
  async next(): Promise<readonly Buffer[] | undefined> {
    const { bytesRead } = await this.#handle.read(this.#chunk, 0, chunkBytes, this.#position);
    if (bytesRead === 0) return undefined;
    this.#position += bytesRead;
    const bytes = Buffer.concat([this.#rest, this.#chunk.subarray(0, bytesRead)]);
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
      lines.push(bytes.subarray(start, end));
      start = end + 1;
    }
    this.#rest = bytes.subarray(start);
    if (this.#rest.length > maxLineBytes) throw new LineTooLong(`a line of more than ${maxLineBytes} bytes`);
    return lines;
  }

  /** What follows the last newline that was read. */
  get unfinished(): Buffer {
    return this.#rest;
  }

  /** Offset behind all that was read. */
  get position(): number {
    return this.#position;
  }

  /** Offset behind the last newline that was read. */
  get wholeBytes(): number {
    return this.#position - this.#rest.length;
  }
}
