import { fstatSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import {
  At,
  closePipe,
  closePipeEnd,
  createPipe,
  Descriptor,
  Open,
  type Pipe,
  PipeReader,
  PipeWriter,
  type Syscalls,
  Terminal,
  TerminalSocket,
} from '@kata-agent/linux';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { ProcessRef, StreamName, StreamRef } from '../request/actions.js';
import type { Stdio } from '../runtime/oci-runtime.js';
import { InputStream } from './input-stream.js';
import { type OutputLimits, OutputLog, OutputStream, type Overflow } from './output-stream.js';
import { ProcessStreams } from './process-streams.js';

/** More than the kernel keeps for a terminal's master (64 KiB of flip buffers, and the line discipline's 4 KiB). */
const TERMINAL_CAPACITY = 128 * 1024;

/**
 * The kernel's names of a process's pipes (`pipe:[INODE]` in /proc/<pid>/fd), by which a restarted agent finds them.
 */
export type PipeInodes = readonly [stdin: number, stdout: number, stderr: number];

/** Streams before their process has started: one end for the runtime, one for the agent. */
export interface PreparedStreams {
  readonly stdio: Stdio;
  /** Undefined with a terminal. */
  readonly pipes?: PipeInodes;
  /** Called when the process has its ends: returns streams of the agent's ends. */
  readonly attach: () => ProcessStreams;
  /** Called when no process will be started. */
  readonly discard: () => void;
}

export interface StreamLimits {
  /** Bytes buffered per output stream before its pipe is no longer read. */
  readonly streamBuffer: number;
}

/** The parts of the guest's context that streams need. */
export interface StreamOptions {
  readonly syscalls: Syscalls;
  readonly paths: GuestPaths;
  readonly limits: StreamLimits;
  readonly output: OutputPolicy;
  readonly pipeSize: number;
}

/**
 * Handling of an output stream that no peer may read (R15): it is drained, so that the workload never blocks on a full pipe,
 * and discarded, or its last `bytes` are stored in `<state>/output/<container>-<exec>.<stream>`.
 */
export interface OutputPolicy {
  /** Reports whether any peer may read the stream; called whenever its buffer is full. The result may change between calls. */
  readonly readable: (stream: StreamRef) => boolean;
  readonly unreadable: 'discard' | { readonly bytes: number };
}

/** Creates three pipes for a process's stdin, stdout and stderr. */
export function preparePipes(ref: ProcessRef, options: StreamOptions): PreparedStreams {
  const { pipes, inodes } = openPipes(options);
  const [stdin, stdout, stderr] = pipes;
  return {
    stdio: [stdin.read.fd, stdout.write.fd, stderr.write.fd],
    pipes: inodes,
    attach: () => {
      for (const theirs of [stdin.read, stdout.write, stderr.write]) closePipeEnd(theirs, ref.containerId);
      return pipeStreams(ref, [stdin.write, stdout.read, stderr.read], options);
    },
    discard: () => {
      for (const { read, write } of pipes)
        for (const end of [read, write]) closePipeEnd(end, ref.containerId);
    },
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

/** The runtime creates the terminal and sends its master over a socket; stdin, stdout and stderr are one stream. */
export function prepareTerminal(ref: ProcessRef, options: StreamOptions): PreparedStreams {
  const { syscalls, paths, limits } = options;
  const socket = TerminalSocket.listen(syscalls, join(paths.state, 'run'));
  return {
    stdio: { consoleSocket: socket.path },
    attach: () => {
      const master = socket.receive();
      socket.close();
      const terminal = open(syscalls, master);
      const logs: OutputLog[] = [];
      const sizes = { buffer: limits.streamBuffer, source: TERMINAL_CAPACITY };
      return new ProcessStreams({
        input: new InputStream(terminal),
        stdout: new OutputStream(terminal, sizes, overflow(ref, 'stdout', options, logs)),
        logs,
        resize: (rows, columns) => terminal.resize(rows, columns),
      });
    },
    discard: () => socket.close(),
  };
}

/** The Terminal owns the master once it is created; until then it is closed here. */
function open(syscalls: Syscalls, master: Descriptor): Terminal {
  try {
    return new Terminal(syscalls, master);
  } catch (error) {
    master.close();
    throw error;
  }
}

/** The agent's ends of a process's three pipes; undefined: no process has the other end. */
type OurEnds = readonly [
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
    const source = end === undefined ? Readable.from([]) : new PipeReader(end, ref.containerId);
    return new OutputStream(source, limits, overflow(ref, name, options, logs), 'drain');
  };
  return new ProcessStreams({
    input: new InputStream(
      stdin === undefined ? new Writable().destroy() : new PipeWriter(stdin, ref.containerId),
    ),
    stdout: output(stdout, 'stdout'),
    stderr: output(stderr, 'stderr'),
    logs,
  });
}

/** The kernel's default, or the requested size, which the kernel rounds up to a power of two. */
function capacity(pipeSize: number): number {
  return pipeSize === 0 ? 64 * 1024 : 2 * pipeSize;
}

/** Returns the policy for a stream whose buffer is full (R15). Adds a created log to `logs`. */
function overflow(
  { containerId, execId }: ProcessRef,
  stream: StreamName,
  { output, paths }: StreamOptions,
  logs: OutputLog[],
): Overflow {
  const drained = (): boolean => !output.readable({ containerId, execId, stream });
  if (output.unreadable === 'discard') return { drained, take: () => undefined };
  const file = join(paths.state, 'output', `${containerId}-${execId}.${stream}`);
  const log = new OutputLog(file, output.unreadable.bytes);
  logs.push(log);
  return { drained, take: (data) => log.append(data) };
}
