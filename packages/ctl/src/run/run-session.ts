import type { MessageInitShape } from '@bufbuild/protobuf';
import { AgentService, type CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { Code } from '@kata-agent/ttrpc';
import type { Io } from '../cli/io.js';
import { CommandError } from '../command-error.js';
import type { Agent } from '../connection/agent.js';
import { CallError } from '../connection/call-error.js';
import { ExitCode } from '../exit-code.js';
import { attach } from './attach.js';
import { notice } from './notices.js';
import { SignalForwarder } from './signals.js';

export interface RunOptions {
  readonly container: MessageInitShape<typeof CreateContainerRequestSchema>;
  readonly containerId: string;
  readonly hostname: string;
  /** `own`: made and destroyed; `keep`: made and left; `existing`: the one that is there. */
  readonly sandbox: 'own' | 'keep' | 'existing';
  readonly interactive: boolean;
  readonly terminal: boolean;
}

/**
 * One container from its creation to its removal; resolves with its program's exit code. What was made is removed
 * however the middle ends; a removal that fails is said, and does not hide the program's own code.
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
      notice(io, `the container ${containerId} is left behind`, error);
    }
  }
}

async function createSandbox(agent: Agent, options: RunOptions): Promise<void> {
  const request = { sandboxId: options.containerId, hostname: options.hostname };
  try {
    await agent.call(AgentService.method.createSandbox, request);
  } catch (error) {
    if (!(error instanceof CallError) || !sandboxExists(error)) throw error;
    throw new CommandError(ExitCode.OursInRun, `the agent has a sandbox already: ${error.said}`, {
      help: ['Use --no-sandbox to run the container in it.'],
      cause: error,
    });
  }
}

function sandboxExists(error: CallError): boolean {
  return error.code === Code.AlreadyExists || error.code === Code.FailedPrecondition;
}

/** The end of its sandbox is the end of an agent: a connection that closes under this call is its answer. */
async function destroySandbox(agent: Agent, io: Io): Promise<void> {
  try {
    await agent.call(AgentService.method.destroySandbox, {});
  } catch (error) {
    if (error instanceof CallError && (await agent.gone())) return;
    notice(io, 'the sandbox is left behind', error);
  }
}
