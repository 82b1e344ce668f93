import { parseToml, type Diagnostic, renderDiagnostic, type TomlTable } from '@kata-agent/config';
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
import { CommandError, ExitCode, readInput } from '@kata-agent/cli';

/** One agent of the file: texts of the connection options, by their names as options. */
export interface AgentEntry {
  readonly name: string;
  readonly values: ReadonlyMap<string, string>;
}

type Row = Pick<EntryKey<unknown>, 'key' | 'purpose' | 'example'>;

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

/** Reads the file of `--agents`. Throws a CommandError. */
export function readAgents(path: string): readonly AgentEntry[] {
  return parseAgents(readInput(path), path);
}

/** Parses TOML with an `[[agent]]` for each agent. Throws a CommandError. */
export function parseAgents(bytes: Uint8Array, path: string): readonly AgentEntry[] {
  const decoded = decodeDocument(bytes, path);
  if (!decoded.ok) throw wrong(path, [decoded.diagnostic]);
  const toml = parseToml(decoded.source);
  if (!toml.ok) throw wrong(path, [toml.diagnostic]);
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
  if (report.failed) throw wrong(path, report.diagnostics);
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

function wrong(path: string, diagnostics: readonly Diagnostic[]): CommandError {
  return new CommandError(ExitCode.Usage, `${path} is not valid`, {
    help: diagnostics.flatMap((diagnostic) => renderDiagnostic(diagnostic).split('\n')),
    diagnostics,
  });
}
