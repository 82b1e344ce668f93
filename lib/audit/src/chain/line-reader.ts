import type { FileHandle } from 'node:fs/promises';
import { maxLineBytes } from './chain.js';

const start = '{"sequence":';

/** Of the largest safe integer. */
const maxDigits = 16;

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

/** Returns the sequence number at the start of a record's line, without parsing the line; undefined if it has none. */
export function sequenceOf(line: Buffer): number | undefined {
  const head = line.toString('latin1', 0, start.length + maxDigits + 1);
  const digits = head.startsWith(start) ? /^(\d+),/.exec(head.slice(start.length))?.[1] : undefined;
  return digits === undefined ? undefined : Number(digits);
}

export interface LastLine {
  /** The last complete line without its newline; undefined when there is none. */
  readonly line: Buffer | undefined;
  /** Offset after the last newline. */
  readonly end: number;
  /** Number of bytes after it. */
  readonly tornBytes: number;
}

/**
 * Reads a file's last complete line from the end of the file.
 *
 * @throws LineTooLong
 */
export async function lastLine(handle: Pick<FileHandle, 'read' | 'stat'>): Promise<LastLine> {
  const { size } = await handle.stat();
  for (let length = 4096; ; length *= 4) {
    const from = Math.max(0, size - length);
    const bytes = Buffer.alloc(size - from);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, from);
    const text = bytes.subarray(0, bytesRead);
    const end = text.lastIndexOf(newline);
    const start = end <= 0 ? -1 : text.lastIndexOf(newline, end - 1);
    if (end !== -1 && (start !== -1 || from === 0)) {
      return { line: text.subarray(start + 1, end), end: from + end + 1, tornBytes: text.length - end - 1 };
    }
    if (from === 0) return { line: undefined, end: 0, tornBytes: text.length };
    if (length > 2 * maxLineBytes) throw new LineTooLong(`a line of more than ${maxLineBytes} bytes`);
  }
}
