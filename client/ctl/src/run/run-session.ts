import type { MessageInitShape } from '@bufbuild/protobuf';
import { AgentService, type CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { Code } from '@kata-agent/ttrpc';
import { type Agent, CallError, CommandError, ExitCode, type Io } from '@kata-agent/cli';
import { attach, notice } from './attach.js';
import { SignalForwarder } from './signals.js';

export interface RunOptions {
  readonly container: MessageInitShape<typeof CreateContainerRequestSchema>;
  readonly containerId: string;
  readonly hostname: string;
  /** `own`: created and destroyed; `keep`: created and left; `existing`: used and left. */
  readonly sandbox: 'own' | 'keep' | 'existing';
  readonly interactive: boolean;
  readonly terminal: boolean;
}

/**
 * Runs one container from creation to removal; resolves with the program's exit code. Resources are removed even
 * after a failure. A failed removal is reported and does not change the exit code.
 */
export async function runContainer(agent: Agent, io: Io, options: RunOptions): Promise<number> {
  const signals = new SignalForwarder(io.signals);
  try {
    if (options.sandbox !== 'existing') await createSandbox(agent, options);
    try {
      return await runInSandbox(agent, io, options, signals);
    } finally {
      if (options.sandbox === 'own') await destroySandbox(agent, io);
    }
  } finally {
    signals.stop();
  }
}

async function runInSandbox(
  agent: Agent,
  io: Io,
  options: RunOptions,
  signals: SignalForwarder,
): Promise<number> {
  const { containerId, interactive, terminal } = options;
  const { createContainer, startContainer, removeContainer } = AgentService.method;
  await agent.call(createContainer, options.container);
  try {
    await agent.call(startContainer, { containerId });
    const target = { containerId, execId: containerId };
    return await attach(agent, io, target, { interactive, terminal, signals });
  } finally {
    try {
      await agent.call(removeContainer, { containerId });
    } catch (error) {
      notice(io, `the container ${containerId} was not removed`, error);
    }
  }
}

async function createSandbox(agent: Agent, options: RunOptions): Promise<void> {
  const request = { sandboxId: options.containerId, hostname: options.hostname };
  try {
    await agent.call(AgentService.method.createSandbox, request);
  } catch (error) {
    if (!(error instanceof CallError) || !sandboxExists(error)) throw error;
    throw new CommandError(ExitCode.OursInRun, `the agent already has a sandbox: ${error.serverMessage}`, {
      help: ['pass --no-sandbox to run the container in it'],
      cause: error,
    });
  }
}

function sandboxExists(error: CallError): boolean {
  return error.code === Code.AlreadyExists || error.code === Code.FailedPrecondition;
}

/** An agent ends with its sandbox: a connection that closes during this call is success. */
async function destroySandbox(agent: Agent, io: Io): Promise<void> {
  try {
    await agent.call(AgentService.method.destroySandbox, {});
  } catch (error) {
    if (error instanceof CallError && (await agent.gone())) return;
    notice(io, 'the sandbox was not removed', error);
  }
}
