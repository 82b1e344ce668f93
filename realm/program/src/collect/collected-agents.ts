import type { CollectedAgent } from '@kata-agent/realm';
import {
  type Address,
  addressesOf,
  addressForms,
  CommandError,
  dial,
  ExitCode,
  formatAddress,
  type Invocation,
  type Options,
  parseAddress,
  timeoutOf,
  tlsCredentials,
} from '@kata-agent/cli';
import { askForStored } from './stored-records.js';
import { type AgentEntry, readAgents } from './agents-file.js';

/** Returns the agents of `--address`, which can be repeated, and of `--agents`. Throws a CommandError. */
export async function collectedAgents(invocation: Invocation): Promise<readonly CollectedAgent[]> {
  const { options } = invocation;
  const file = options.text('agents');
  const name = options.text('name');
  const addresses = addressesOf(invocation);
  const entries = file === undefined ? [] : readAgents(file);
  if (name !== undefined && addresses.length !== 1)
    throw wrong('--name is for one --address', 'name several agents in a file: --agents FILE');
  const agents = await Promise.all([
    ...addresses.map((address) =>
      collectedAgent(invocation, name ?? formatAddress(address), address, options),
    ),
    ...entries.map((entry) => ofEntry(invocation, entry)),
  ]);
  if (agents.length === 0)
    throw wrong(
      'no agent address given',
      `pass --address, also repeatedly, or --agents FILE: ${addressForms}`,
    );
  const twice = agents.find((agent, at) => agents.findIndex((other) => other.name === agent.name) !== at);
  if (twice !== undefined)
    throw wrong(`two agents have the name ${twice.name}`, 'give each agent a unique name: --agents FILE');
  return agents;
}

async function ofEntry(invocation: Invocation, { name, values }: AgentEntry): Promise<CollectedAgent> {
  const address = parseAddress(values.get('address') ?? '');
  const isTls = address.kind === 'tls' || address.kind === 'realm';
  // A pin is of one agent: the option does not stand for those of the file.
  const common = (key: string): string | undefined =>
    (key === 'records' ? address.kind === 'realm' : isTls) && key !== 'pin' && key !== 'relay'
      ? invocation.options.text(key)
      : undefined;
  return await collectedAgent(invocation, name, address, {
    text: (key) => values.get(key) ?? common(key),
  }).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(error.exitCode, `agent ${name}: ${error.message}`, {
      help: error.help,
      cause: error,
    });
  });
}

async function collectedAgent(
  invocation: Invocation,
  name: string,
  address: Address,
  options: Pick<Options, 'text'>,
): Promise<CollectedAgent> {
  if (isOfRealm(options))
    return {
      name,
      source: { kind: 'realm', ask: await askForStored(address, timeoutOf(invocation), options) },
    };
  // At the start, to report errors at once, and then for each connection: certificates are replaced while it runs.
  await tlsCredentials(address, options);
  const timeoutMs = timeoutOf(invocation);
  return {
    name,
    source: {
      kind: 'agent',
      connect: async () => dial(address, timeoutMs, await tlsCredentials(address, options)),
    },
  };
}

/** Reports whether stored records are requested from the realm instead of the guest. Throws a CommandError. */
function isOfRealm(options: Pick<Options, 'text'>): boolean {
  const records = options.text('records') ?? 'guest';
  if (records === 'guest' || records === 'realm') return records === 'realm';
  throw wrong(`records '${records}': it is neither guest nor realm`, 'use guest or realm');
}

function wrong(message: string, help: string): CommandError {
  return new CommandError(ExitCode.Usage, message, { help: [help] });
}
