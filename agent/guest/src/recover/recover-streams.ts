import { fstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { At, Descriptor, hasCode, Open } from '@kata-agent/linux';
import type { ProcessRef } from '../request/actions.js';
import { pipeStreams } from '../stdio/pipe-streams.js';
import type { PipeInodes, StreamOptions } from '../stdio/prepared-streams.js';
import type { ProcessStreams } from '../stdio/process-streams.js';

/** Paths of procfs at which pipes can be opened again, by inode. */
export type OpenPipes = ReadonlyMap<number, string>;

/** Returns the pipes that these processes have open. */
export function openPipesOf(pids: Iterable<number>, proc: string): OpenPipes {
  const found = new Map<number, string>();
  for (const pid of pids) {
    const directory = join(proc, String(pid), 'fd');
    for (const name of entries(directory)) {
      const path = join(directory, name);
      const inode = /^pipe:\[(\d+)\]$/.exec(target(path))?.[1];
      if (inode !== undefined && !found.has(Number(inode))) found.set(Number(inode), path);
    }
  }
  return found;
}

/** Opens new ends of a process's pipes, as the killed agent had them. A pipe that no process has open has ended. */
export function recoverStreams(
  ref: ProcessRef,
  pipes: PipeInodes | undefined,
  open: OpenPipes,
  options: StreamOptions,
): ProcessStreams {
  const { syscalls } = options;
  const end = (inode: number | undefined, flags: number): Descriptor | undefined => {
    const path = inode === undefined ? undefined : open.get(inode);
    if (path === undefined) return undefined;
    try {
      const found = new Descriptor(syscalls, syscalls.openat(At.Cwd, path, flags | Open.NonBlock));
      if (fstatSync(found.fd).ino === inode) return found;
      // The process has closed it since, and reused the number for another file.
      found.close();
      return undefined;
    } catch (error) {
      // It has ended since, or no process reads its stdin any more.
      if (hasCode(error, 'ENOENT', 'ESRCH', 'ENXIO')) return undefined;
      throw error;
    }
  };
  const [stdin, stdout, stderr] = pipes ?? [];
  return pipeStreams(
    ref,
    [end(stdin, Open.WriteOnly), end(stdout, Open.ReadOnly), end(stderr, Open.ReadOnly)],
    options,
  );
}

function entries(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return [];
    throw error;
  }
}

/** Empty: the descriptor is closed by now. */
function target(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return '';
    throw error;
  }
}
