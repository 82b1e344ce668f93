import { AgentService } from '@kata-agent/protocol/agent';
import { Code } from '@kata-agent/ttrpc';
import { type Agent, CallError, CommandError, ExitCode, type Io, type Output, write } from '@kata-agent/cli';
import { closeInput, pumpInput } from './input-pump.js';
import { isRefusal, notice } from './notices.js';
import { pumpOutput, type StreamName } from './output-pump.js';
import type { TerminalSize } from './process-spec.js';
import type { SignalForwarder } from './signals.js';
import type { Target } from './target.js';

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
