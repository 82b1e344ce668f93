import { join } from 'node:path';
import {
  closePipe as closeBothEnds,
  createPipe,
  type Pipe,
  pipeReader,
  pipeWriter,
  type Syscalls,
} from '@kata-agent/linux';
import type { ProcessRef, StreamName } from '../actions.js';
import type { GuestLimits, GuestPaths, OutputPolicy } from '../guest-options.js';
import type { Stdio } from '../runtime/runtime.js';
import { closePipe, InputStream } from './input-stream.js';
import { OutputLog } from './output-log.js';
import { type OutputLimits, OutputStream, type Overflow } from './output-stream.js';
import { ProcessStreams } from './process-streams.js';
import { prepareTerminal } from './prepare-terminal.js';

/** Streams before their process is there: one end for the runtime to hand on, one for us. */
export interface PreparedStreams {
  readonly stdio: Stdio;
  /** The process has its ends now: ours become streams. */
  readonly attach: () => Promise<ProcessStreams>;
  /** There will be no process. */
  readonly discard: () => void;
}

export interface StreamOptions {
  readonly syscalls: Syscalls;
  readonly paths: GuestPaths;
  readonly limits: GuestLimits;
  readonly output: OutputPolicy;
  readonly pipeSize: number;
}

export function prepareStreams(
  ref: ProcessRef,
  terminal: boolean,
  options: StreamOptions,
): Promise<PreparedStreams> {
  return terminal ? prepareTerminal(ref, options) : Promise.resolve(preparePipes(ref, options));
}

function preparePipes(ref: ProcessRef, options: StreamOptions): PreparedStreams {
  const pipes = openPipes(options);
  const [stdin, stdout, stderr] = pipes;
  return {
    stdio: [stdin.read.fd, stdout.write.fd, stderr.write.fd],
    attach: async () => {
      for (const theirs of [stdin.read, stdout.write, stderr.write]) theirs.close();
      const logs: OutputLog[] = [];
      const limits: OutputLimits = {
        buffer: options.limits.streamBuffer,
        source: capacity(options.pipeSize),
      };
      const output = (pipe: Pipe, name: StreamName): OutputStream =>
        new OutputStream(pipeReader(pipe.read), limits, overflow(ref, name, options, logs));
      return new ProcessStreams({
        input: new InputStream(pipeWriter(stdin.write), closePipe),
        stdout: output(stdout, 'stdout'),
        stderr: output(stderr, 'stderr'),
        logs,
      });
    },
    discard: () => pipes.forEach(closeBothEnds),
  };
}

function openPipes({ syscalls, pipeSize: size }: StreamOptions): readonly [Pipe, Pipe, Pipe] {
  const pipes: Pipe[] = [];
  try {
    const open = (): Pipe => {
      const pipe = createPipe(syscalls, { size });
      pipes.push(pipe);
      return pipe;
    };
    return [open(), open(), open()];
  } catch (error) {
    pipes.forEach(closeBothEnds);
    throw error;
  }
}

/** The kernel's default, or what was asked for, which it rounds up to a power of two. */
function capacity(pipeSize: number): number {
  return pipeSize === 0 ? 64 * 1024 : 2 * pipeSize;
}

/** What becomes of output when the buffer is full (R15). */
export function overflow(
  { containerId, execId }: ProcessRef,
  stream: StreamName,
  { output, paths }: StreamOptions,
  logs: OutputLog[],
): Overflow {
  const drained = (): boolean => !output.readable(stream);
  if (output.unreadable === 'discard') return { drained, take: () => undefined };
  const log = new OutputLog(
    join(paths.state, 'output', `${containerId}-${execId}.${stream}`),
    output.unreadable.bytes,
  );
  logs.push(log);
  return { drained, take: (data) => log.append(data) };
}
