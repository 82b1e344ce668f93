import { AgentService } from '@kata-agent/protocol/agent';
import type { Io } from '../cli/io.js';
import type { Agent } from '../connection/agent.js';
import { CallError } from '../connection/call-error.js';
import { isRefusal, notice } from './notices.js';
import type { Target } from './target.js';

/** Small enough for a frame and for a container's pipe to take in a few turns. */
const writeBytes = 64 * 1024;

/**
 * Passes standard input on until it ends, then closes the process's. Aborting `over` stops reading.
 * A write that the agent refuses is said once; one that fails ends the pump in silence, since the process has
 * closed its input or ended, and its exit code says the rest.
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
    // A stream that is destroyed in the middle ends with an error; here that is how it is told to stop.
    if (!over.aborted) throw error;
  } finally {
    over.removeEventListener('abort', stop);
  }
}

/** Ends the process's standard input. */
export async function closeInput(agent: Agent, io: Io, target: Target, over: AbortSignal): Promise<void> {
  try {
    await agent.call(AgentService.method.closeStdin, { ...target }, { signal: over });
  } catch (error) {
    endedOrRefused(io, error, over, 'the program’s standard input stays open');
  }
}

/** False when no more can be written. */
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
