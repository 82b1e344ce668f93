import { AgentService } from '@kata-agent/protocol/agent';
import { type Agent, CallError, type Io } from '@kata-agent/cli';
import { isRefusal, notice } from './notices.js';
import type { Target } from './target.js';

/** Small enough for a frame, and for a container's pipe to drain in a few writes. */
const writeBytes = 64 * 1024;

/**
 * Forwards standard input until it ends, then closes the process's. Aborting `over` stops reading. A denied write is
 * reported once. A failed write ends the pump silently: the process has closed its input or ended, and its exit code
 * tells the rest.
 */
export async function pumpInput(agent: Agent, io: Io, target: Target, over: AbortSignal): Promise<void> {
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
export async function closeInput(agent: Agent, io: Io, target: Target, over: AbortSignal): Promise<void> {
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
