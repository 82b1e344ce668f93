import { closeSync, openSync, readSync } from 'node:fs';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';
import { reasonOf } from './reason-of.js';

/** No file that a command reads as a whole is larger: what is was named by mistake, or never ends. */
const mostBytes = 16 * 1024 * 1024;

/** A file as it is. Throws a CommandError when it cannot be read (3), or is too large (1). */
export function readInput(path: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = readUpTo(path, mostBytes + 1);
  } catch (error) {
    throw unreadable(path, error);
  }
  if (bytes.length <= mostBytes) return bytes;
  throw new CommandError(ExitCode.Failed, `${path} has more than 16 MiB`, {
    help: ['is it the file that was meant?'],
  });
}

/** A text file. Throws as `readInput`, and a CommandError (1) when it is not UTF-8. */
export function readTextInput(path: string): string {
  const bytes = readInput(path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CommandError(ExitCode.Failed, `${path} is no text: it is not UTF-8`, {
      help: [`find the place: grep -naxv '.*' ${path}`],
      cause: error,
    });
  }
}

/** The first `most` bytes of a file, whatever kind of file it is. Throws the error of the system. */
export function readUpTo(path: string, most: number): Uint8Array {
  const descriptor = openSync(path, 'r');
  try {
    const parts: Uint8Array[] = [];
    const piece = Math.min(most, 1 << 20);
    for (let left = most; left > 0; ) {
      const buffer = Buffer.alloc(Math.min(left, piece));
      const got = readSync(descriptor, buffer, 0, buffer.length, null);
      if (got === 0) break;
      parts.push(buffer.subarray(0, got));
      left -= got;
    }
    return new Uint8Array(Buffer.concat(parts));
  } finally {
    closeSync(descriptor);
  }
}

/** A failure of the system about a file, as the error that ends a command. */
export function unreadable(path: string, error: unknown): CommandError {
  return new CommandError(ExitCode.CannotApply, `cannot read ${path}: ${reasonOf(error)}`, { cause: error });
}
