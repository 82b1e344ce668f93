import type { FileHandle } from 'node:fs/promises';
import { maxLineBytes } from './chain.js';
import { LineTooLong } from './line-reader.js';

const newline = 0x0a;

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
