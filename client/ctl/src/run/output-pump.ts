import { readBytes } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';
import type { Agent } from '@kata-agent/cli';
import type { Target } from './target.js';

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
