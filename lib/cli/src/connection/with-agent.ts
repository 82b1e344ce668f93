import { randomBytes } from 'node:crypto';
import type { ReferenceValues } from '@kata-agent/evidence';
import type { CommandDefinition, Invocation, OptionRow } from '../command/definition.js';
import { CommandError, ExitCode } from '../command/command-error.js';
import { readReference } from '../input/read-input.js';
import { type Address, addressForms, parseAddress } from './address.js';
import { type Agent, type AgentConnection, attestConnection, openAgent } from './agent.js';
import { dial } from './dial.js';
import { closedBeforeAnswer, serverKey } from './dial-tls.js';
import { tlsCredentials } from './tls-credentials.js';

/** How long evidence may take: a quote passes through the host, and several callers wait for each other. */
const patienceMs = 60_000;

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
  { flags: '--cert <file>', description: "with tls:// and realm://: the client's certificate, PEM" },
  { flags: '--key <file>', description: 'its private key, PEM' },
  { flags: '--pin <pin>', description: "the agent's public key, spki:sha256:HEX" },
  {
    flags: '--attested <values>',
    description:
      'with tls:// and realm://: verify evidence of the agent against this values file before anything else is sent; --pin is then optional',
  },
  { flags: '--realm-ca <file>', description: "with realm://: the CAs of the realm's certificate, PEM" },
  { flags: '--realm-pin <pin>', description: "with realm://: the realm's public key, spki:sha256:HEX" },
  {
    flags: '--relay <relay>',
    description:
      'with realm://: trusted believes the realm, which makes the calls; otherwise it forwards TLS to the guest, whose key is --pin',
    choices: ['operator-tls', 'trusted'],
  },
];

/** Returns the options of a command that calls agents; none for another one. */
export function connectionOptionsOf({
  connects = false,
}: Pick<CommandDefinition, 'connects'>): readonly OptionRow[] {
  if (connects === false) return [];
  if (connects === true) return connectionOptions;
  return connectionOptions.map((row) =>
    row.flags.includes('--address')
      ? { ...row, description: `${row.description}; may be repeated`, repeatable: true }
      : row,
  );
}

/** Returns the addresses that the options or the environment name; there can be none. Throws a CommandError. */
export function addressesOf({ options, io }: Invocation): readonly Address[] {
  // Given before the command's name it is one text.
  const given = options.texts('address');
  const one = options.text('address') ?? io.environment[addressVariable] ?? '';
  return (given.length > 0 ? given : [one]).filter((text) => text !== '').map(parseAddress);
}

/** Returns the address that the options or the environment name. Throws a CommandError. */
export function addressOf({ options, io }: Invocation): Address {
  const text = options.text('address') ?? io.environment[addressVariable];
  if (text !== undefined && text !== '') return parseAddress(text);
  throw new CommandError(ExitCode.Usage, 'no agent address given', {
    help: [`pass --address or set ${addressVariable}: ${addressForms}`],
  });
}

/** Returns the time to wait for a connection, in ms. Throws a CommandError. */
export function timeoutOf({ options }: Invocation): number {
  return options.duration('timeout') ?? defaultTimeoutMs;
}

/** Connects, runs `work` with the agent, and always closes the connection. */
export async function withAgent<T>(invocation: Invocation, work: (agent: Agent) => Promise<T>): Promise<T> {
  return await withConnection(invocation, ({ agent }) => work(agent));
}

/**
 * Connects, verifies evidence before anything else if --attested asks for it, runs `work` with the connection, and always closes
 * it.
 */
export async function withConnection<T>(
  invocation: Invocation,
  work: (connection: AgentConnection) => Promise<T>,
): Promise<T> {
  const address = addressOf(invocation);
  const credentials = await tlsCredentials(address, invocation.options);
  const attested = invocation.options.text('attested');
  const values = attested === undefined ? undefined : await readReference(attested);
  const socket = await dial(address, timeoutOf(invocation), credentials);
  // In the other cases the certificate of the client is not verified after the handshake.
  const direct =
    credentials !== undefined && (credentials.for === 'tls' || credentials.relay.kind === 'operator-tls');
  const agent = openAgent(socket, direct ? (cause) => closedBeforeAnswer(address, cause) : undefined);
  try {
    const connection = { agent, socket, direct, spki: direct ? serverKey(socket) : undefined };
    if (values !== undefined) await requireAttested(connection, values);
    return await work(connection);
  } finally {
    agent.close();
  }
}

/**
 * Calls Attest with a new nonce, as the first and only call of a connection so far, and verifies that the evidence is of the agent
 * at the other end of this very TLS connection: its key, and the exporter as this end computes it. A proxy that ends TLS and
 * passes the call on to a real guest has another exporter with each of the two. Rejects with a CommandError; then nothing else has
 * been sent.
 */
async function requireAttested(connection: AgentConnection, values: ReferenceValues): Promise<void> {
  const { EvidenceFormError, noCollateral, parseBundle, verifyEvidence } = await import(
    '@kata-agent/evidence'
  );
  const nonce = new Uint8Array(randomBytes(32));
  const { bundle, channel, tlsSpki } = await attestConnection(connection, nonce, patienceMs);
  if (channel === undefined || tlsSpki === undefined)
    throw new CommandError(ExitCode.Usage, '--attested needs a TLS connection with the agent itself');
  try {
    const { verified, result, links } = verifyEvidence(
      parseBundle(bundle),
      values,
      {
        nonce: Buffer.from(nonce).toString('hex'),
        channel,
        tlsSpki,
      },
      { collateral: noCollateral, at: Date.now() },
    );
    if (verified) return;
    throw notAttested(
      result,
      links
        .filter(({ state, waived }) => state !== 'ok' && !waived)
        .map(({ name, state, what }) => `${name}: ${state}: ${what}`),
    );
  } catch (error) {
    if (error instanceof EvidenceFormError) throw notAttested(error.message, [], error);
    throw error;
  }
}

function notAttested(result: string, links: readonly string[], cause?: Error): CommandError {
  return new CommandError(ExitCode.Mismatch, `the agent does not match the reference values: ${result}`, {
    help: ['only Attest was called; compare the values of --reference with the links below', ...links],
    ...(cause === undefined ? {} : { cause }),
  });
}
