import { readFileSync, writeFileSync } from 'node:fs';
import { CommandError, ExitCode, reasonOf } from '@kata-agent/cli';
import type { RegistryImage } from './registry-image.js';

/** The file that makes results reproducible without a registry. */
export const lockName = 'kata-images.lock';

/** Images by the names that pods have. */
export type ImageLock = ReadonlyMap<string, RegistryImage>;

/** Reads a lock. Throws a CommandError: it cannot be read (3), or is not one (1). */
export function readLock(file: string): ImageLock {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(ExitCode.CannotApply, `cannot read ${file}: ${reasonOf(error)}`, {
      help: ['write it: --images pull'],
      cause: error,
    });
  }
  const { version, images } = parsed(text, file) as {
    readonly version?: unknown;
    readonly images?: Readonly<Record<string, RegistryImage>>;
  };
  if (version !== 1 || typeof images !== 'object' || images === null) throw notALock(file);
  return new Map(Object.entries(images));
}

/** Writes a lock, sorted by name, so that a difference shows what has changed. */
export function writeLock(file: string, lock: ImageLock): void {
  const images = Object.fromEntries([...lock].sort(([a], [b]) => (a < b ? -1 : 1)));
  try {
    writeFileSync(file, `${JSON.stringify({ version: 1, images }, undefined, 2)}\n`);
  } catch (error) {
    throw new CommandError(ExitCode.CannotApply, `cannot write ${file}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function parsed(text: string, file: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw notALock(file);
}

function notALock(file: string): CommandError {
  return new CommandError(ExitCode.Failed, `${file} is not a lock of images`, {
    help: ['write it again: --images pull'],
  });
}
