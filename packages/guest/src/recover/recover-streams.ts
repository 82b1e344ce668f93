import { fstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { At, Descriptor, hasCode, Open } from '@kata-agent/linux';
import type { ProcessRef } from '../actions.js';
import { pipeStreams } from '../stdio/pipe-streams.js';
import type { PipeInodes, StreamOptions } from '../stdio/prepared-streams.js';
import type { ProcessStreams } from '../stdio/process-streams.js';

/** Where the pipes of processes can be opened again: by inode, a path of procfs. */
export type OpenPipes = ReadonlyMap<number, string>;

/** The pipes that these processes have open now. */
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

/** New ends of a process's pipes, as the agent that was killed had them. One that nobody has open has ended. */
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
      // The process closed it since, and has another file under that number.
      found.close();
      return undefined;
    } catch (error) {
      // It ended since, or its stdin has no reader any more.
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
