import type { Invocation, OptionRow } from '../cli/definition.js';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';
import { addressForms, parseAddress } from './address.js';
import { type Agent, openAgent } from './agent.js';
import { dial } from './dial.js';
import { closedBeforeAnswer } from './dial-tls.js';
import { tlsCredentials } from './tls-credentials.js';

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
  { flags: '--cert <file>', description: "with tls://: the client's certificate, PEM" },
  { flags: '--key <file>', description: 'with tls://: its private key, PEM' },
  { flags: '--pin <pin>', description: "with tls://: the agent's public key, spki:sha256:HEX" },
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
  const address = parseAddress(text);
  const credentials = await tlsCredentials(address, options);
  const socket = await dial(address, options.duration('timeout') ?? defaultTimeoutMs, credentials);
  const agent =
    address.kind === 'tls'
      ? openAgent(socket, (cause) => closedBeforeAnswer(address, cause))
      : openAgent(socket);
  try {
    return await work(agent);
  } finally {
    agent.close();
  }
}
