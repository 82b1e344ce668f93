import { readBytes } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';
import { Code } from '@kata-agent/ttrpc';
import {
  type Agent,
  CallError,
  CommandError,
  ExitCode,
  explainFailure,
  type Io,
  type Output,
  renderRefusal,
  write,
} from '@kata-agent/cli';
import { programName } from '../program-name.js';
import type { TerminalSize } from './spec.js';
import type { SignalForwarder } from './signals.js';

/** Small enough for a frame, and for a container's pipe to drain in a few writes. */
const writeBytes = 64 * 1024;

export interface AttachOptions {
  /** Whether to forward standard input; if not, the process's is closed at once. */
  readonly interactive: boolean;
  /** Whether the process has a terminal: ours is set to raw mode, and its size is forwarded. */
  readonly terminal: boolean;
  readonly signals: SignalForwarder;
}

/** The signal with this number ends the command: a first process without a handler never sees SIGINT. */
const patience = 3;

/**
 * Connects this program's streams, terminal and signals to a started process. Resolves with the exit code when the
 * process has ended and all output is written. Streams that the agent does not serve are skipped with a notice.
 * Rejects with a CallError, or with a CommandError if a signal cannot be delivered.
 */
export async function attach(agent: Agent, io: Io, target: Target, options: AttachOptions): Promise<number> {
  const over = new AbortController();
  const restore = options.terminal ? followTerminal(agent, io, target) : (): void => undefined;
  const input = options.interactive
    ? pumpInput(agent, io, target, over.signal)
    : closeInput(agent, io, target, over.signal);
  // With a terminal both streams are one.
  const streams: readonly StreamName[] = options.terminal ? ['stdout'] : ['stdout', 'stderr'];
  const outputs = streams.map((stream) => passOut(agent, io, target, stream, over.signal));
  const ended = agent.call(AgentService.method.waitProcess, { ...target }, { signal: over.signal });
  const interrupted = signalled(agent, target, options.signals);
  try {
    const all = Promise.all([ended, ...outputs]);
    const [{ status }] = await Promise.race([all, interrupted, failureOf(input)]);
    return status;
  } finally {
    restore();
    over.abort();
    await input;
  }
}

/** Returns the output that is a terminal: standard output or error; undefined if neither is. */
export function terminalSize(stream: Output): TerminalSize | undefined {
  const { rows, columns } = stream;
  return rows === undefined || columns === undefined ? undefined : { rows, columns };
}

async function passOut(
  agent: Agent,
  io: Io,
  target: Target,
  stream: StreamName,
  over: AbortSignal,
): Promise<void> {
  try {
    await pumpOutput(agent, target, stream, (data) => write(io[stream], data), over);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    notice(io, `the program’s ${stream} is not shown`, error);
  }
}

/** Sets raw mode, and forwards the terminal's size initially and on change; returns a function that undoes both. */
function followTerminal(agent: Agent, io: Io, target: Target): () => void {
  let refused = false;
  const resize = (): void => {
    const size = terminalSize(io.stdout);
    if (size === undefined || refused) return;
    const request = { ...target, row: size.rows, column: size.columns };
    agent.call(AgentService.method.ttyWinResize, request).catch((error: unknown) => {
      // A process that has just ended has no terminal any more: only a denial is reported.
      if (!isRefusal(error) || refused) return;
      refused = true;
      notice(io, 'the terminal’s size is not forwarded to the program', error);
    });
  };
  const raw = io.stdin.isTTY === true && io.stdin.setRawMode !== undefined;
  if (raw) io.stdin.setRawMode?.(true);
  io.stdout.on('resize', resize);
  resize();
  return () => {
    io.stdout.off('resize', resize);
    if (raw) io.stdin.setRawMode?.(false);
  };
}

/** Forwards signals. Rejects if one cannot be forwarded, or after several that the program ignored. */
function signalled(agent: Agent, target: Target, signals: SignalForwarder): Promise<never> {
  let received = 0;
  return new Promise((_resolve, reject) => {
    signals.deliverTo((signal) => {
      received += 1;
      if (received < patience) forward(agent, target, signal).catch(reject);
      else reject(new CommandError(ExitCode.OursInRun, `signalled ${received} times: no longer waiting`));
    });
  });
}

async function forward(agent: Agent, target: Target, signal: number): Promise<void> {
  try {
    await agent.call(AgentService.method.signalProcess, { ...target, signal });
  } catch (error) {
    // The process ended before the signal arrived.
    if (error instanceof CallError && error.code === Code.NotFound) return;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.OursInRun, `signal ${signal} cannot be forwarded: ${reason}`, {
      cause: error,
    });
  }
}

/** Never resolves; rejects if `work` does. */
function failureOf(work: Promise<void>): Promise<never> {
  return new Promise((_resolve, reject) => {
    work.catch(reject);
  });
}

export type StreamName = 'stdout' | 'stderr';

/**
 * Reads one output stream of a process until its end. A read consumes output: another reader gets only the rest. The
 * next read starts when `take` has finished. Rejects with a CallError.
 */
export async function pumpOutput(
  agent: Agent,
  target: Target,
  stream: StreamName,
  take: (data: Uint8Array) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const method = stream === 'stdout' ? AgentService.method.readStdout : AgentService.method.readStderr;
  const options = signal === undefined ? {} : { signal };
  for (;;) {
    const { data } = await agent.call(method, { ...target, len: readBytes }, options);
    if (data.length === 0) return;
    await take(data);
  }
}

/** A process of a container, in the shape of requests that name one. Empty `execId`: the first process. */
export interface Target {
  readonly containerId: string;
  readonly execId: string;
}

/**
 * Forwards standard input until it ends, then closes the process's. Aborting `over` stops reading. A denied write is
 * reported once. A failed write ends the pump silently: the process has closed its input or ended, and its exit code
 * tells the rest.
 */
async function pumpInput(agent: Agent, io: Io, target: Target, over: AbortSignal): Promise<void> {
  const stop = (): void => {
    io.stdin.destroy();
  };
  if (over.aborted) return;
  over.addEventListener('abort', stop, { once: true });
  try {
    for await (const chunk of io.stdin) {
      const open = await passOn(agent, io, target, Buffer.from(chunk as Uint8Array | string), over);
      if (!open) return;
    }
    await closeInput(agent, io, target, over);
  } catch (error) {
    // Destroying the stream to stop it ends the iteration with an error.
    if (!over.aborted) throw error;
  } finally {
    over.removeEventListener('abort', stop);
  }
}

/** Closes the process's standard input. */
async function closeInput(agent: Agent, io: Io, target: Target, over: AbortSignal): Promise<void> {
  try {
    await agent.call(AgentService.method.closeStdin, { ...target }, { signal: over });
  } catch (error) {
    endedOrRefused(io, error, over, 'the program’s standard input stays open');
  }
}

/** Returns false if no more can be written. */
async function passOn(
  agent: Agent,
  io: Io,
  target: Target,
  data: Buffer,
  over: AbortSignal,
): Promise<boolean> {
  let rest = data;
  while (rest.length > 0) {
    try {
      const part = rest.subarray(0, writeBytes);
      const { len } = await agent.call(
        AgentService.method.writeStdin,
        { ...target, data: part },
        { signal: over },
      );
      if (len === 0 || len > part.length) return false;
      rest = rest.subarray(len);
    } catch (error) {
      endedOrRefused(io, error, over, 'the program gets no standard input');
      return false;
    }
  }
  return true;
}

function endedOrRefused(io: Io, error: unknown, over: AbortSignal, consequence: string): void {
  if (over.aborted) return;
  if (isRefusal(error)) notice(io, consequence, error);
  else if (!(error instanceof CallError)) throw error;
}

/** Reports whether the agent denied a call, rather than failed to carry it out. */
function isRefusal(error: unknown): error is CallError {
  return (
    error instanceof CallError && (error.code === Code.Unimplemented || error.code === Code.PermissionDenied)
  );
}

/** Prints on standard error what does not work for the workload, or what could not be cleaned up. */
export function notice(io: Io, consequence: string, error: unknown): void {
  const reason =
    error instanceof CallError
      ? (renderRefusal(explainFailure(error))[0] ?? error.message)
      : error instanceof Error
        ? error.message
        : String(error);
  io.stderr.write(`${programName}: ${consequence}: ${reason}\n`);
}
