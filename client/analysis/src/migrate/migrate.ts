import { type MethodName, methodNames } from '@kata-agent/catalogue';
import { type Diagnostic, decodeDocument, looksLikeRego, renderDiagnostic } from '@kata-agent/config';
import { newestPin } from '../starters.js';
import { readKataFile } from './kata-file.js';
import type { MigratedList, MigratedPart, ReadPart } from './migrated-part.js';
import { readRegoPolicy } from './rego-policy.js';

/** A file in a former format. */
export interface OldFile {
  readonly file: string;
  readonly bytes: Uint8Array;
}

export type Migrated =
  | {
      readonly ok: true;
      /** The configuration, in TOML. */
      readonly text: string;
      /** Warnings, in the order of the files: settings that could not be converted, and risks of the result. */
      readonly notes: readonly Diagnostic[];
    }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/**
 * Merges the files of a Kata agent into one configuration: its flat file, with or without the former `[endpoints]`, and
 * a Rego policy that only sets defaults. A method is served only if all files allow it. Losses are warnings and never
 * make the result serve more.
 */
export function migrate(files: readonly OldFile[]): Migrated {
  const parts = files.map(readOldFile);
  const diagnostics = parts.flatMap((part) => (part.ok ? [] : part.diagnostics));
  if (diagnostics.length > 0) return { ok: false, diagnostics };
  const read = parts.flatMap((part) => (part.ok ? [part.part] : []));
  const twice = settingTwice(read);
  if (twice !== undefined) return { ok: false, diagnostics: [twice] };
  const lists = read.flatMap((part) => (part.list === undefined ? [] : [part.list]));
  const hidden = lists.length === 0 ? hiddenPolicy(read) : undefined;
  const notes = [...read.flatMap((part) => part.notes), ...(hidden === undefined ? [] : [hidden])];
  const text = [
    head(files, notes),
    agentSection(read),
    lists.length > 0 ? listSection(lists) : hidden === undefined ? openSection() : closedSection(),
  ].join('');
  const open = lists.length === 0 && hidden === undefined;
  return { ok: true, text, notes: open ? [...notes, servesAll] : notes };
}

/**
 * Without a given policy there may still have been one: Kata's agent, if built with policies, starts with the policy in
 * its image, even if the settings do not name the file.
 */
const servesAll: Diagnostic = {
  severity: 'warning',
  code: 'KA1905',
  message: 'these files have neither a list nor a policy, so EVERYTHING is served',
  help: 'if the image had /etc/kata-opa/default-policy.rego, pass it too; or start with kata-agent-ctl config init',
};

function readOldFile({ file, bytes }: OldFile): ReadPart {
  const decoded = decodeDocument(bytes, file);
  if (!decoded.ok) return { ok: false, diagnostics: [decoded.diagnostic] };
  return looksLikeRego(decoded.source.text) ? readRegoPolicy(decoded.source) : readKataFile(decoded.source);
}

function settingTwice(parts: readonly MigratedPart[]): Diagnostic | undefined {
  const seen = new Set<string>();
  for (const { key, span } of parts.flatMap((part) => part.settings)) {
    if (seen.has(key)) {
      const message = `${key} is set in two of the files`;
      return {
        severity: 'error',
        code: 'KA1907',
        message,
        span,
        help: 'migrate one settings file at a time',
      };
    }
    seen.add(key);
  }
  return undefined;
}

/** A policy that the settings name but that was not given: what it allowed is unknown. */
function hiddenPolicy(parts: readonly MigratedPart[]): Diagnostic | undefined {
  const span = parts.find((part) => part.policyFile !== undefined)?.policyFile;
  if (span === undefined) return undefined;
  const message = 'a policy decided what is served, and it was not given: nothing is served';
  const help = `pass it too: kata-agent-ctl config migrate ${span.file} POLICY.rego`;
  return { severity: 'warning', code: 'KA1906', message, span, help };
}

function head(files: readonly OldFile[], notes: readonly Diagnostic[]): string {
  const names = files.map(({ file }) => file.replace(/\p{Cc}/gu, '?')).join(' ');
  const lost = notes.map((note) => {
    const [message = ''] = renderDiagnostic(note).split('\n');
    return `# - ${message}\n${note.help === undefined ? '' : `#   ${note.help}\n`}`;
  });
  return [
    `# Made from ${names} by kata-agent-ctl config migrate.\n`,
    lost.length === 0 ? '# Everything was converted.\n' : `#\n# Could not be converted:\n${lost.join('')}`,
    '\nversion = 1\n',
  ].join('');
}

function agentSection(parts: readonly MigratedPart[]): string {
  const settings = parts.flatMap((part) => part.settings);
  if (settings.length === 0) return '';
  return `\n[agent]\n${settings.map(({ key, value }) => `${key} = ${value}\n`).join('')}`;
}

/** Kata without a policy serves everything. The release prevents that later methods are added unnoticed. */
function openSection(): string {
  return [
    '\n[api]\n',
    '# The old files did not restrict methods: all methods of this release of Kata are served.\n',
    `release = "${newestPin}"\n`,
    'allowed_endpoints = ["*"]\n',
  ].join('');
}

function closedSection(): string {
  return '\n[api]\nallowed_endpoints = []\n';
}

function listSection(lists: readonly MigratedList[]): string {
  const rows = methodNames.flatMap((method) => {
    const entries = lists.map((list) => list.allowed.get(method));
    return entries.some((entry) => entry === undefined) ? [] : [{ method, reason: reasonOf(entries) }];
  });
  const width = Math.max(0, ...rows.map(({ method }) => method.length));
  const line = ({ method, reason }: { method: MethodName; reason: string }): string =>
    `  "${method}",${' '.repeat(width - method.length)}  # ${reason}\n`;
  const entries = rows.length === 0 ? '[]' : `[\n${rows.map(line).join('')}]`;
  return `\n[api]\n# The methods of the old list, and no others.\nallowed_endpoints = ${entries}\n`;
}

function reasonOf(entries: readonly (ReturnType<MigratedList['allowed']['get']> | undefined)[]): string {
  return entries
    .flatMap((entry) =>
      entry === undefined
        ? []
        : [`${entry.entry}, ${entry.span.file}:${entry.span.line}`.replace(/\p{Cc}/gu, '?')],
    )
    .join('; ');
}
