import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Duplex } from 'node:stream';
import { searchPath } from '@kata-agent/linux';
import { LayerError } from '../unpack/layer-error.js';
import { packedFile } from './options.js';
import { type ChildSettings, exitOf, startChild, startMilliseconds } from './run-child.js';

const program = 'mkfs.erofs';

/** A root file system to pack in a process of its own. */
export interface PackChildRequest {
  /** The directory with the root file system. */
  readonly source: string;
  /** An empty directory, which belongs to the user of the process (`childUsers.pack`). */
  readonly target: string;
  /** Of the result. */
  readonly maxBytes: number;
  readonly milliseconds: number;
}

/** Returns the path of mkfs.erofs in the directories of a PATH. Throws if it is missing. */
export function packProgram(path: string = searchPath): string {
  const found = path
    .split(':')
    .map((directory) => join(directory, program))
    .find((each) => existsSync(each));
  if (found === undefined)
    throw new Error(`${program} (erofs-utils), which makes images of file systems, is missing`);
  return realpathSync(found);
}

/**
 * Makes an EROFS image of a root file system, with mkfs.erofs in a process that has nothing but the root, read-only, and the directory
 * for the image: the files are not trusted. Returns its path. Throws a LayerError; the abort's reason if `signal` aborted it.
 */
export async function runPackChild(
  { source, target, maxBytes, milliseconds }: PackChildRequest,
  settings: ChildSettings = {},
): Promise<string> {
  settings.signal?.throwIfAborted();
  const task = { name: 'pack', program: packProgram(), source, target } as const;
  const child = startChild({ task, fileSize: maxBytes, milliseconds, threads: 1 }, settings);
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(kill, milliseconds + startMilliseconds);
  settings.signal?.addEventListener('abort', kill);
  try {
    const socket = child.stdio[3];
    // Only a process that could not be confined writes to it.
    const refused = socket instanceof Duplex ? text(socket) : Promise.resolve('');
    const [{ code, how }, message] = await Promise.all([exitOf(child), refused]);
    settings.signal?.throwIfAborted();
    if (message !== '') throw new LayerError('child', message.trim());
    if (code !== 0) throw failure(how);
    return join(target, packedFile);
  } finally {
    clearTimeout(timer);
    settings.signal?.removeEventListener('abort', kill);
  }
}

function failure(how: string): LayerError {
  if (/No space left on device|File too large|^SIGXFSZ/.test(how))
    return new LayerError('space', `the image of the root file system is larger than max_size: ${how}`);
  return new LayerError('child', `${program} ended with ${how}`);
}
