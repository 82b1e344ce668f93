import type { AskRealm, CollectedAgent } from '@kata-agent/realm';
import {
  type Address,
  addressesOf,
  addressForms,
  askRealm,
  CommandError,
  connectRealm,
  dial,
  ExitCode,
  formatAddress,
  type Invocation,
  linesOfBody,
  type Options,
  parseAddress,
  readInput,
  realmItself,
  timeoutOf,
  tlsCredentials,
  within,
} from '@kata-agent/cli';
import { type Diagnostic, parseToml, renderDiagnostic, type TomlTable } from '@kata-agent/config';
import {
  decodeDocument,
  type EntryKey,
  type EntryKeyRow,
  entryTables,
  readEntry,
  readNamed,
  Report,
  unknown,
  words,
} from '@kata-agent/config/entries';

const required: readonly Row[] = [
  { key: 'name', purpose: 'names the agent in the sink and in alerts', example: '"node-1"' },
  { key: 'address', purpose: 'the address of the agent', example: '"vsock://3:1025"' },
];

const optional: readonly Row[] = [
  { key: 'cert', purpose: 'as --cert', example: '"client.pem"' },
  { key: 'key', purpose: 'as --key', example: '"client.key"' },
  { key: 'pin', purpose: 'as --pin', example: '"spki:sha256:…"' },
  { key: 'realm_ca', purpose: 'as --realm-ca', example: '"realm-ca.pem"' },
  { key: 'realm_pin', purpose: 'as --realm-pin', example: '"spki:sha256:…"' },
  { key: 'relay', purpose: 'as --relay', example: '"trusted"' },
  { key: 'records', purpose: 'as --records', example: '"realm"' },
];

const rows: readonly EntryKeyRow[] = [
  ...required.map((row) => ({ ...row, required: true })),
  ...optional.map((row) => ({ ...row, required: false })),
].map((row) => ({ ...row, table: 'agent', type: words, otherwise: '', later: true, built: 'yes' }));

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

/**
 * Returns a function that asks a realm for the records of a guest that it has stored. Certificates are read again for each request:
 * they are replaced while the program runs. Throws a CommandError if the address has no guest of a realm, or for wrong options.
 */
async function askForStored(
  address: Address,
  timeoutMs: number,
  options: Pick<Options, 'text'>,
): Promise<AskRealm> {
  if (address.kind !== 'realm' || address.guest === undefined)
    throw new CommandError(
      ExitCode.Usage,
      `address '${formatAddress(address)}': a realm has records of its guests only`,
      { help: ['use realm://HOST[:PORT]/GUEST, or leave --records realm out'] },
    );
  const path = `/v1/guests/${address.guest}/audit`;
  await realmItself(options);
  return async (from, signal) => {
    const credentials = await realmItself(options);
    const message = await within(timeoutMs, address, 'a realm', async (leave) => {
      const socket = await connectRealm(address, credentials, leave);
      const asked = { method: 'GET', path: `${path}?from=${from}&follow=true` } as const;
      return (await askRealm(socket, address, asked)).message;
    });
    const leave = (): void => void message.destroy();
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    const guest = message.headers['kata-agent-guest'];
    return {
      guest: typeof guest === 'string' && /^[0-9a-f]{64}$/.test(guest) ? guest : undefined,
      records: linesOfBody(message),
    };
  };
}

/** One agent of the file: texts of the connection options, by their names as options. */
interface AgentEntry {
  readonly name: string;
  readonly values: ReadonlyMap<string, string>;
}

type Row = Pick<EntryKey<unknown>, 'key' | 'purpose' | 'example'>;

/** Reads the file of `--agents`. Throws a CommandError. */
function readAgents(path: string): readonly AgentEntry[] {
  return parseAgents(readInput(path), path);
}

/** Parses TOML with an `[[agent]]` for each agent. Throws a CommandError. */
export function parseAgents(bytes: Uint8Array, path: string): readonly AgentEntry[] {
  const decoded = decodeDocument(bytes, path);
  if (!decoded.ok) throw invalidAgentsFile(path, [decoded.diagnostic]);
  const toml = parseToml(decoded.source);
  if (!toml.ok) throw invalidAgentsFile(path, [toml.diagnostic]);
  const report = new Report(decoded.source);
  for (const [key, { span }] of toml.root.entries)
    if (key !== 'agent')
      report.error(
        'KA1101',
        span,
        unknown('key', key, 'at the top of the file'),
        'the file has only [[agent]]',
      );
  const entry = toml.root.entries.get('agent');
  const tables = entry === undefined ? [] : entryTables('agent', entry.value, entry.span, report);
  const agents = readNamed('agent', tables, (table) => readAgent(table, report), report);
  if (report.failed) throw invalidAgentsFile(path, report.diagnostics);
  if (agents.length === 0)
    throw new CommandError(ExitCode.Usage, `${path} has no [[agent]]`, {
      help: ['write for each agent: [[agent]], name = "node-1", address = "vsock://3:1025"'],
    });
  return agents;
}

function readAgent(
  table: TomlTable,
  report: Report,
): (AgentEntry & { readonly span: TomlTable['span'] }) | undefined {
  const values = new Map<string, string>();
  for (const [key, { value }] of readEntry(rows, table, 'base', report))
    values.set(camelCase(key), String(value));
  const name = values.get('name');
  if (name === undefined) return undefined;
  return { name, values, span: table.entries.get('name')?.span ?? table.span };
}

function camelCase(key: string): string {
  return key.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
}

function invalidAgentsFile(path: string, diagnostics: readonly Diagnostic[]): CommandError {
  return new CommandError(ExitCode.Usage, `${path} is not valid`, {
    help: diagnostics.flatMap((diagnostic) => renderDiagnostic(diagnostic).split('\n')),
    diagnostics,
  });
}
