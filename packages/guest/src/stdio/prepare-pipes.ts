import { closePipe, createPipe, type Pipe, pipeReader, pipeWriter } from '@kata-agent/linux';
import type { ProcessRef, StreamName } from '../actions.js';
import { InputStream } from './input-stream.js';
import type { OutputLog } from './output-log.js';
import { type OutputLimits, OutputStream } from './output-stream.js';
import { overflow } from './overflow.js';
import type { PreparedStreams, StreamOptions } from './prepared-streams.js';
import { ProcessStreams } from './process-streams.js';

/** Three pipes, which the process gets as its stdin, stdout and stderr. */
export function preparePipes(ref: ProcessRef, options: StreamOptions): PreparedStreams {
  const pipes = openPipes(options);
  const [stdin, stdout, stderr] = pipes;
  return {
    stdio: [stdin.read.fd, stdout.write.fd, stderr.write.fd],
    attach: () => {
      for (const theirs of [stdin.read, stdout.write, stderr.write]) theirs.close();
      const logs: OutputLog[] = [];
      const limits: OutputLimits = {
        buffer: options.limits.streamBuffer,
        source: capacity(options.pipeSize),
      };
      const output = (pipe: Pipe, name: StreamName): OutputStream =>
        new OutputStream(pipeReader(pipe.read), limits, overflow(ref, name, options, logs));
      return new ProcessStreams({
        input: new InputStream(pipeWriter(stdin.write)),
        stdout: output(stdout, 'stdout'),
        stderr: output(stderr, 'stderr'),
        logs,
      });
    },
    discard: () => pipes.forEach(closePipe),
  };
}

function openPipes({ syscalls, pipeSize: size }: StreamOptions): readonly [Pipe, Pipe, Pipe] {
  const pipes: Pipe[] = [];
  const open = (): Pipe => {
    const pipe = createPipe(syscalls, { size });
    pipes.push(pipe);
    return pipe;
  };
  try {
    return [open(), open(), open()];
  } catch (error) {
    pipes.forEach(closePipe);
    throw error;
  }
}

/** The kernel's default, or what was asked for, which it rounds up to a power of two. */
function capacity(pipeSize: number): number {
  return pipeSize === 0 ? 64 * 1024 : 2 * pipeSize;
}
