import { type MethodName, methodNames } from '@kata-agent/catalogue';
import { type Diagnostic, decodeDocument, looksLikeRego, renderDiagnostic } from '@kata-agent/config';
import { newestPin } from '../profiles/newest-pin.js';
import { readKataFile } from './kata-file.js';
import type { MigratedList, MigratedPart, ReadPart } from './migrated-part.js';
import { readRegoPolicy } from './rego-policy.js';

/** A file in a former form. */
export interface OldFile {
  readonly file: string;
  readonly bytes: Uint8Array;
}

export type Migrated =
  | {
      readonly ok: true;
      /** The configuration, in TOML. */
      readonly text: string;
      /** What could not be carried over, in the order of the files, and what to beware of; each a warning. */
      readonly notes: readonly Diagnostic[];
    }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/**
 * One configuration from the files that a Kata agent was started with: its own flat file, with the former
 * `[endpoints]` or without, and a Rego policy that is a list of defaults. What several of them allow is served only if
 * all of them do. What cannot be carried over is told, and never makes the result serve more.
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
 * Where no policy is given, there may have been one all the same: Kata's agent, built with policies, starts with that
 * of its image, whether its settings name the file or not.
 */
const servesAll: Diagnostic = {
  severity: 'warning',
  message: 'no list and no policy is among these files, so EVERYTHING is served',
  help: 'if the image had /etc/kata-opa/default-policy.rego, name it too; or begin with kata-agent-ctl config init',
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
      const message = `${key} stands in two of the files`;
      return { severity: 'error', message, span, help: 'migrate one file of settings at a time' };
    }
    seen.add(key);
  }
  return undefined;
}

/** A policy that a file of settings names, and that was not given: nobody knows what it allowed. */
function hiddenPolicy(parts: readonly MigratedPart[]): Diagnostic | undefined {
  const span = parts.find((part) => part.policyFile !== undefined)?.policyFile;
  if (span === undefined) return undefined;
  const message = 'a policy decided what is served, and it is not known here: nothing is served';
  const help = `name it too: kata-agent-ctl config migrate ${span.file} POLICY.rego`;
  return { severity: 'warning', message, span, help };
}

function head(files: readonly OldFile[], notes: readonly Diagnostic[]): string {
  const names = files.map(({ file }) => file.replace(/\p{Cc}/gu, '?')).join(' ');
  const lost = notes.map((note) => {
    const [message = ''] = renderDiagnostic(note).split('\n');
    return `# - ${message}\n${note.help === undefined ? '' : `#   ${note.help}\n`}`;
  });
  return [
    `# Made from ${names} by kata-agent-ctl config migrate.\n`,
    lost.length === 0
      ? '# Everything was carried over.\n'
      : `#\n# Could not be carried over:\n${lost.join('')}`,
    '\nversion = 1\n',
  ].join('');
}

function agentSection(parts: readonly MigratedPart[]): string {
  const settings = parts.flatMap((part) => part.settings);
  if (settings.length === 0) return '';
  return `\n[agent]\n${settings.map(({ key, value }) => `${key} = ${value}\n`).join('')}`;
}

/** Kata without a policy serves everything. A release that comes later adds nothing to it unnoticed. */
function openSection(): string {
  return [
    '\n[api]\n',
    '# Nothing restricted what was served, so everything is: all that this release of Kata has.\n',
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
  return `\n[api]\n# Exactly these; what the old list did not name was not served either.\nallowed_endpoints = ${entries}\n`;
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
