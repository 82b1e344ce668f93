import { Readable, Writable } from 'node:stream';
import { type Descriptor, pipeReader, pipeWriter } from '@kata-agent/linux';
import type { ProcessRef, StreamName } from '../request/actions.js';
import { InputStream } from './input-stream.js';
import type { OutputLog } from './output-log.js';
import { type OutputLimits, OutputStream } from './output-stream.js';
import { overflow } from './overflow.js';
import type { StreamOptions } from './prepared-streams.js';
import { ProcessStreams } from './process-streams.js';

/** The agent's ends of a process's three pipes; undefined: no process has the other end. */
export type OurEnds = readonly [
  stdin: Descriptor | undefined,
  stdout: Descriptor | undefined,
  stderr: Descriptor | undefined,
];

/** Creates streams that own the agent's ends. */
export function pipeStreams(
  ref: ProcessRef,
  [stdin, stdout, stderr]: OurEnds,
  options: StreamOptions,
): ProcessStreams {
  const logs: OutputLog[] = [];
  const limits: OutputLimits = { buffer: options.limits.streamBuffer, source: capacity(options.pipeSize) };
  const output = (end: Descriptor | undefined, name: StreamName): OutputStream => {
    const source = end === undefined ? Readable.from([]) : pipeReader(end);
    return new OutputStream(source, limits, overflow(ref, name, options, logs), 'drain');
  };
  return new ProcessStreams({
    input: new InputStream(stdin === undefined ? new Writable().destroy() : pipeWriter(stdin)),
    stdout: output(stdout, 'stdout'),
    stderr: output(stderr, 'stderr'),
    logs,
  });
}

/** The kernel's default, or the requested size, which the kernel rounds up to a power of two. */
function capacity(pipeSize: number): number {
  return pipeSize === 0 ? 64 * 1024 : 2 * pipeSize;
}
