import type { Invocation, OptionRow } from '../cli/definition.js';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';
import { addressForms, parseAddress } from './address.js';
import { type Agent, openAgent } from './agent.js';
import { dial } from './dial.js';

const addressVariable = 'KATA_AGENT_ADDRESS';
const defaultTimeoutMs = 10_000;

/** Options of every command that calls an agent. They are also accepted before the command's name. */
export const connectionOptions: readonly OptionRow[] = [
  {
    flags: '-a, --address <address>',
    description: `the address of the agent: ${addressForms}; default: ${addressVariable} in the environment`,
  },
  {
    flags: '--timeout <duration>',
    description: 'how long to wait for the connection: 5s, 500ms (default: 10s)',
  },
];

/** Connects, runs `work` with the agent, and always closes the connection. */
export async function withAgent<T>(invocation: Invocation, work: (agent: Agent) => Promise<T>): Promise<T> {
  const { options, io } = invocation;
  const text = options.text('address') ?? io.environment[addressVariable];
  if (text === undefined || text === '') {
    throw new CommandError(ExitCode.Usage, 'no agent address given', {
      help: [`pass --address or set ${addressVariable}: ${addressForms}`],
    });
  }
  const socket = await dial(parseAddress(text), options.duration('timeout') ?? defaultTimeoutMs);
  const agent = openAgent(socket);
  try {
    return await work(agent);
  } finally {
    agent.close();
  }
}
