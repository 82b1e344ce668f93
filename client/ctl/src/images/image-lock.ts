import { CommandError, ExitCode, readTextInput, writeOutputFile } from '@kata-agent/cli';
import { isDigest } from '@kata-agent/registry';
import { digestIn, repositoryOf } from '@kata-agent/workloads';
import type { RegistryImage } from './registry-image.js';

/** The file that makes results reproducible without a registry. */
export const lockName = 'kata-images.lock';

/** Images by the names that pods have. */
export type ImageLock = ReadonlyMap<string, RegistryImage>;

/** Reads a lock. Throws a CommandError: it cannot be read (3), or is not one (1). */
export function readLock(file: string): ImageLock {
  const { version, images } = parsed(readTextInput(file), file) as {
    readonly version?: unknown;
    readonly images?: unknown;
  };
  if (version !== 1 || !isObject(images)) throw notALock(file);
  return new Map(
    Object.entries(images).map(([name, image]) => {
      if (isImage(image)) return [name, image];
      throw notALock(file);
    }),
  );
}

/** Returns the image of a name; of one with a digest, also an image of the repository with this digest and another name. */
export function imageIn(lock: ImageLock, name: string): RegistryImage | undefined {
  const digest = digestIn(name);
  const own = lock.get(name);
  if (own !== undefined || digest === undefined) return own;
  return [...lock].find(
    ([other, image]) => image.digest === digest && repositoryOf(other) === repositoryOf(name),
  )?.[1];
}

function isImage(value: unknown): value is RegistryImage {
  if (!isObject(value)) return false;
  const { digest, manifestDigest, configuration } = value;
  return (
    [digest, manifestDigest].every((each) => typeof each === 'string' && isDigest(each)) &&
    typeof configuration === 'string'
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Writes a lock, sorted by name, so that a difference shows what has changed. */
export function writeLock(file: string, lock: ImageLock): void {
  const images = Object.fromEntries([...lock].sort(([a], [b]) => (a < b ? -1 : 1)));
  writeOutputFile(file, `${JSON.stringify({ version: 1, images }, undefined, 2)}\n`);
}

function parsed(text: string, file: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
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
