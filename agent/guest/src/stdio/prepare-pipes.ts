import { fstatSync } from 'node:fs';
import { At, closePipe, createPipe, Descriptor, Open, type Pipe } from '@kata-agent/linux';
import type { ProcessRef } from '../request/actions.js';
import { pipeStreams } from './pipe-streams.js';
import type { PipeInodes, PreparedStreams, StreamOptions } from './prepared-streams.js';

/** Creates three pipes for a process's stdin, stdout and stderr. */
export function preparePipes(ref: ProcessRef, options: StreamOptions): PreparedStreams {
  const { pipes, inodes } = openPipes(options);
  const [stdin, stdout, stderr] = pipes;
  return {
    stdio: [stdin.read.fd, stdout.write.fd, stderr.write.fd],
    pipes: inodes,
    attach: () => {
      for (const theirs of [stdin.read, stdout.write, stderr.write]) theirs.close();
      return pipeStreams(ref, [stdin.write, stdout.read, stderr.read], options);
    },
    discard: () => pipes.forEach(closePipe),
  };
}

interface Opened {
  readonly pipes: readonly [Pipe, Pipe, Pipe];
  readonly inodes: PipeInodes;
}

function openPipes(options: StreamOptions): Opened {
  const pipes: Pipe[] = [];
  const open = (): Pipe => {
    const pipe = createPipe(options.syscalls, { size: options.pipeSize });
    pipes.push(pipe);
    return pipe;
  };
  const openOutput = (): Pipe => {
    const pipe = heldOpen(open(), options);
    pipes[pipes.length - 1] = pipe;
    return pipe;
  };
  try {
    const [stdin, stdout, stderr] = [open(), openOutput(), openOutput()] as const;
    return { pipes: [stdin, stdout, stderr], inodes: [inode(stdin), inode(stdout), inode(stderr)] };
  } catch (error) {
    pipes.forEach(closePipe);
    throw error;
  }
}

/**
 * Reopens the pipe with an end for the process that can read as well as write: its output then has a reader as long as
 * it lives, so that it gets no SIGPIPE if the agent is killed (docs/adr/restarts.md, "What survives a restart").
 */
function heldOpen({ read, write }: Pipe, { syscalls }: StreamOptions): Pipe {
  const both = syscalls.openat(At.Cwd, `/proc/self/fd/${write.fd}`, Open.ReadWrite);
  write.close();
  return { read, write: new Descriptor(syscalls, both) };
}

function inode({ read }: Pipe): number {
  return fstatSync(read.fd).ino;
}
