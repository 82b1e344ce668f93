import type { FileHandle } from 'node:fs/promises';
import { maxLineBytes } from './chain.js';

const defaultChunkBytes = 256 * 1024;
const newline = 0x0a;

/** A line is longer than any record: the file is not an audit log. */
export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
}

/** Reads complete lines from a file that may still grow. Memory is bounded by the longest line. */
export class LineReader {
  readonly #handle: Pick<FileHandle, 'read'>;
  readonly #chunk: Buffer;
  #position: number;
  #rest: Buffer = Buffer.alloc(0);

  /** `chunkBytes` is the memory that a waiting reader has. */
  constructor(handle: Pick<FileHandle, 'read'>, position = 0, chunkBytes: number = defaultChunkBytes) {
    this.#handle = handle;
    this.#chunk = Buffer.allocUnsafe(chunkBytes);
    this.#position = position;
  }

  /**
   * Returns the lines of the next chunk, without newlines; an empty list if the chunk ends within the first line.
   * Undefined at the end of the file; call again after the file has grown.
   *
   * @throws LineTooLong
   */
  async next(): Promise<readonly Buffer[] | undefined> {
    const { bytesRead } = await this.#handle.read(this.#chunk, 0, this.#chunk.length, this.#position);
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

  /** The bytes after the last newline read. */
  get unfinished(): Buffer {
    return this.#rest;
  }

  /** Offset after all bytes read. */
  get position(): number {
    return this.#position;
  }

  /** Offset after the last newline read. */
  get wholeBytes(): number {
    return this.#position - this.#rest.length;
  }
}
