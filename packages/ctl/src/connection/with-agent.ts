import type { Invocation, OptionRow } from '../cli/definition.js';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';
import { addressForms, parseAddress } from './address.js';
import { type Agent, openAgent } from './agent.js';
import { dial } from './dial.js';

const addressVariable = 'KATA_AGENT_ADDRESS';
const defaultTimeoutMs = 10_000;

/** The options of every command that calls an agent. They may stand before the command's name as well. */
export const connectionOptions: readonly OptionRow[] = [
  {
    flags: '-a, --address <address>',
    says: `where the agent listens: ${addressForms}; without it, the environment's ${addressVariable}`,
  },
  { flags: '--timeout <duration>', says: 'how long to wait for the connection: 5s, 500ms (default: 10s)' },
];

/** Connects, lets `work` call the agent, and closes the connection however that ends. */
export async function withAgent<T>(invocation: Invocation, work: (agent: Agent) => Promise<T>): Promise<T> {
  const { options, io } = invocation;
  const text = options.text('address') ?? io.environment[addressVariable];
  if (text === undefined || text === '') {
    throw new CommandError(ExitCode.Usage, 'no address of an agent is given', {
      help: [`Use --address or set ${addressVariable}: ${addressForms}.`],
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
