import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { ReferenceValues } from '@kata-agent/evidence';
import { CommandError, ExitCode } from '../command/command-error.js';

/** The largest file that a command reads: larger ones are a mistake, or endless. */
const maxBytes = 16 * 1024 * 1024;

/** Reads a file, or standard input for `-`. Throws a CommandError if it cannot be read (3) or is too large (1). */
export function readInput(path: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = readUpTo(path, maxBytes + 1);
  } catch (error) {
    throw unreadable(path, error);
  }
  if (bytes.length <= maxBytes) return bytes;
  throw new CommandError(ExitCode.Failed, `${path} is larger than 16 MiB`, {
    help: ['check that this is the intended file'],
  });
}

/** Reads a text file. Throws as `readInput`, and a CommandError (1) if the file is not UTF-8. */
export function readTextInput(path: string): string {
  const bytes = readInput(path);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CommandError(ExitCode.Failed, `${path} is not a text file: it is not UTF-8`, {
      help: [`find the position: grep -naxv '.*' ${path}`],
      cause: error,
    });
  }
}

/** Returns the first `max` bytes of a file of any type, or of standard input for `-`. Throws the system's error. */
export function readUpTo(path: string, max: number): Uint8Array {
  const descriptor = path === '-' ? 0 : openSync(path, 'r');
  try {
    const parts: Uint8Array[] = [];
    const piece = Math.min(max, 1 << 20);
    for (let left = max; left > 0; ) {
      const buffer = Buffer.alloc(Math.min(left, piece));
      const got = readSync(descriptor, buffer, 0, buffer.length, null);
      if (got === 0) break;
      parts.push(buffer.subarray(0, got));
      left -= got;
    }
    return new Uint8Array(Buffer.concat(parts));
  } finally {
    if (path !== '-') closeSync(descriptor);
  }
}

/** Reports whether a path is a directory; false for none at all, which the reader reports. Throws a CommandError (3). */
export function isDirectory(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Converts a system error about a file into the CommandError that ends the command. */
export function unreadable(path: string, error: unknown): CommandError {
  return new CommandError(ExitCode.CannotApply, `cannot read ${path}: ${reasonOf(error)}`, { cause: error });
}

/** Returns a part of a file; undefined: there is no such file. Throws a CommandError (3) if it cannot be read. */
export function readAt(path: string, position: number, size: number): Uint8Array | undefined {
  try {
    const descriptor = openSync(path, 'r');
    try {
      const buffer = Buffer.alloc(size);
      return buffer.subarray(0, readSync(descriptor, buffer, 0, size, position));
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw unreadable(path, error);
  }
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'no such file'],
  ['ENOTDIR', 'no such file: a parent in the path is not a directory'],
  ['EISDIR', 'it is a directory'],
  ['EACCES', 'permission denied'],
  ['ENOSPC', 'no space left on device'],
  ['EROFS', 'read-only file system'],
]);

/** Returns the text for a system error about a file. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return reasons.get((error as NodeJS.ErrnoException).code ?? '') ?? error.message;
}

/** Reads a values file. Throws a CommandError if it is not valid. */
export async function readReference(path: string): Promise<ReferenceValues> {
  const { parseReferenceValues } = await import('@kata-agent/evidence');
  return await withEvidence(ExitCode.Usage, () => parseReferenceValues(readInput(path)));
}

/** Runs work, whose EvidenceFormErrors end the command with an exit code. */
export async function withEvidence<T>(exitCode: ExitCode, work: () => T): Promise<T> {
  const { EvidenceFormError } = await import('@kata-agent/evidence');
  try {
    return work();
  } catch (error) {
    if (!(error instanceof EvidenceFormError)) throw error;
    throw new CommandError(exitCode, error.message, { cause: error });
  }
}
