import { type DocumentRole, type EntryKeyRow, entryTables, readEntry } from '../document/entry-key.js';
import type { Span } from '../diagnostics/diagnostic.js';
import type { Report } from '../diagnostics/report.js';
import { agentSettings } from '../settings/agent-settings-table.js';
import type { GivenSection } from '../settings/read-section.js';
import type { TomlEntry, TomlTable } from '../toml/toml-value.js';
import { secretKeys } from './secret-keys.js';
import type { SecretPlace, SecretSettings } from '../configuration.js';

const rows: readonly EntryKeyRow[] = Object.values<EntryKeyRow>(secretKeys);

/** A parsed `[[secret]]`. */
export interface SecretEntry extends SecretSettings {
  /** The position of the table. */
  readonly span: Span;
}

/**
 * Reads all `[[secret]]` tables of a document. Only the base document has them: each makes the agent unseal something, so that
 * one of a further document would loosen it.
 */
export function readSecrets(
  entry: TomlEntry | undefined,
  role: DocumentRole,
  report: Report,
): readonly SecretEntry[] {
  if (entry === undefined) return [];
  const tables = entryTables('secret', entry.value, entry.span, report);
  if (role === 'later' && tables.length > 0) {
    const message = 'secrets are allowed only in the base document';
    report.error('KA1709', entry.span, message, 'remove [[secret]] from this document');
    return [];
  }
  return tables.flatMap((table) => {
    const secret = report.full ? undefined : readSecret(table, role, report);
    return secret === undefined ? [] : [secret];
  });
}

function readSecret(table: TomlTable, role: DocumentRole, report: Report): SecretEntry | undefined {
  const given = readEntry(rows, table, role, report);
  const has = (key: string): boolean => table.entries.has(key);
  if (has('env') === has('file')) {
    const [message, help] = has('env')
      ? ['this [[secret]] has env and file', 'write one table for each']
      : [
          'this [[secret]] has no place',
          `write env = ${secretKeys.env.example} or file = ${secretKeys.file.example}`,
        ];
    report.error('KA1120', table.span, message, help);
  }
  if (!has('resource') && !has('sha256'))
    report.error(
      'KA1120',
      table.span,
      'this [[secret]] does not say which secret it is: the host could put any other there',
      `write resource = ${secretKeys.resource.example}, or sha256 of the sealed text`,
    );
  const valueOf = (key: keyof typeof secretKeys): string | undefined => {
    const found = given.get(key);
    return found === undefined ? undefined : String(found.value);
  };
  const container = valueOf('container');
  const place = placeOf(valueOf('env'), valueOf('file'));
  if (container === undefined || place === undefined) return undefined;
  const [resource, sha256] = [valueOf('resource'), valueOf('sha256')];
  return {
    container,
    place,
    ...(resource === undefined ? {} : { resource }),
    ...(sha256 === undefined ? {} : { sha256 }),
    span: table.span,
  };
}

function placeOf(env: string | undefined, file: string | undefined): SecretPlace | undefined {
  if (env !== undefined) return { kind: 'env', name: env };
  return file === undefined ? undefined : { kind: 'file', path: file };
}

/** The levels of guest components without the data hub, which unseals. */
const withoutDataHub: readonly unknown[] = ['none', 'attestation-agent'];

/** Reports secrets that nothing would unseal. */
export function checkSecrets(secrets: readonly SecretEntry[], agent: GivenSection, report: Report): void {
  const [first] = secrets;
  const { key, default: preset } = agentSettings.guestComponentsProcs;
  const level = agent.get(key)?.value ?? preset;
  if (first === undefined || !withoutDataHub.includes(level)) return;
  report.error(
    'KA1120',
    first.span,
    `[[secret]] with ${key} = ${JSON.stringify(level)}: the confidential data hub, which unseals it, would not be started`,
    `write ${key} = "confidential-data-hub" in [agent]`,
  );
}
