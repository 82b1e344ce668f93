import { AgentService } from '@kata-agent/protocol/agent';
import type { Agent } from '../connection/agent.js';
import type { Target } from './target.js';

export type StreamName = 'stdout' | 'stderr';

/** What Kata's runtimes ask for at once. */
const readBytes = 32 * 1024;

/**
 * Reads one output stream of a process until its end. A read is taken from the process for good: another reader
 * gets what follows. The next read waits until `take` is done. Rejects with a CallError.
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
