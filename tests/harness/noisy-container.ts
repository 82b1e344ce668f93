import type { AgentConnection } from './agent-process.js';
import { containerRequest } from './container-request.js';

/** Exceeds the sum of the pipe, the agent's buffer and the buffers of the kernel. */
const bytes = 5_000_000;

interface NoisyOptions {
  readonly id: string;
  readonly rootfs: string;
  /** The stream that it writes; `stdout` if absent. */
  readonly stream?: 'stdout' | 'stderr' | 'both';
  readonly terminal?: boolean;
}

const scripts: Readonly<Record<NonNullable<NoisyOptions['stream']>, string>> = {
  stdout: `yes | head -c ${bytes}`,
  stderr: `yes | head -c ${bytes} >&2`,
  both: `yes | head -c ${bytes} & yes | head -c ${bytes} >&2; wait`,
};

/** The exit code of a completed workload. */
export const noisyExit = 4;

/** Starts a container that writes five million bytes and then exits with `noisyExit`. */
export async function startNoisy(
  agent: AgentConnection['agent'],
  { id, rootfs, stream = 'stdout', terminal = false }: NoisyOptions,
): Promise<void> {
  const args = ['sh', '-c', `${scripts[stream]}; exit ${noisyExit}`];
  await agent.createContainer(containerRequest({ id, rootfs, args, terminal }));
  await agent.startContainer({ containerId: id });
}
