import { createHash } from 'node:crypto';
import type { MethodName } from '@kata-agent/catalogue';
import { apiDocument } from './api-document.js';
import type { ApiDocument, SectionName } from './configuration.js';
import { decodeDocument } from './decode-document.js';
import type { Diagnostic, Span } from './diagnostic.js';
import { nearest } from './nearest.js';
import { parseToml } from './parse-toml.js';
import { type GivenSection, readSection, unknown } from './read-section.js';
import { Report } from './report.js';
import { settings } from './settings/settings.js';
import { describeToml, type TomlEntry, type TomlTable } from './toml-value.js';

/** What a document says, read and checked by itself. */
export interface ParsedDocument {
  readonly file: string;
  readonly sha256: string;
  readonly sections: { readonly [S in SectionName]: GivenSection };
  readonly api: ApiDocument;
  /** The line of a place in it, for messages that are found later. */
  readonly lineOf: (span: Span) => string;
  readonly warnings: readonly Diagnostic[];
}

export type DocumentOutcome =
  | { readonly ok: true; readonly document: ParsedDocument }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

const sectionNames: readonly SectionName[] = ['agent', 'api', 'delivery', 'measurement', 'audit', 'limits'];

/**
 * Reads a base document: hashes exactly the bytes that it parses (S6), and tells all that is wrong with it at once,
 * save that a syntax error hides what follows.
 */
export function parseDocument(
  bytes: Uint8Array,
  file: string,
  options: { readonly handlers?: ReadonlySet<MethodName> } = {},
): DocumentOutcome {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const decoded = decodeDocument(bytes, file);
  if (!decoded.ok) return { ok: false, diagnostics: [decoded.diagnostic] };
  const { source } = decoded;
  const toml = parseToml(source);
  if (!toml.ok) return { ok: false, diagnostics: [toml.diagnostic] };

  const report = new Report(source);
  checkTopLevel(toml.root, report);
  const tables = new Map(sectionNames.map((name) => [name, sectionTable(name, toml.root, report)]));
  const read = (name: SectionName): GivenSection => readSection(name, tables.get(name) ?? toml.root, report);
  const sections = {
    agent: read('agent'),
    api: read('api'),
    delivery: read('delivery'),
    measurement: read('measurement'),
    audit: read('audit'),
    limits: read('limits'),
  };
  checkOverridable(tables.get('agent'), report);
  const api = apiDocument(tables.get('api') ?? toml.root, sections.api, report, {
    role: 'base',
    handlers: options.handlers,
  });
  if (report.failed) return { ok: false, diagnostics: report.diagnostics };
  const lineOf = (span: Span): string => source.line(span.line);
  return { ok: true, document: { file, sha256, sections, api, lineOf, warnings: report.diagnostics } };
}

// What CONFIGURATION has and this version does not: never ignored.
const notBuilt: ReadonlySet<string> = new Set(['listener', 'delivery', 'measurement']);

function checkTopLevel(root: TomlTable, report: Report): void {
  for (const [key, entry] of root.entries) {
    if (report.full) break;
    if (key === 'version') checkVersion(entry, report);
    else if (notBuilt.has(key)) {
      report.error(
        entry.span,
        `[${key}] is not built yet`,
        'remove it: this version would not do what it says',
      );
    } else if (!sectionNames.some((name) => name === key)) {
      const kind = entry.value.kind === 'table' || entry.value.kind === 'array' ? 'section' : 'key';
      report.error(entry.span, unknown(kind, key, 'at the top of the document'), helpForTopLevel(key));
    }
  }
}

function checkVersion({ value }: TomlEntry, report: Report): void {
  if (value.kind === 'integer' && value.value === 1n) return;
  const message = `version must be 1, the only version of this language, not ${describeToml(value)}`;
  report.error(value.span, message, 'write version = 1, or leave it out');
}

function helpForTopLevel(key: string): string {
  if (key === 'endpoints')
    return 'what Kata had in [endpoints] stands in [api]: allowed_endpoints = ["CreateSandbox"]';
  const row = settings.find((row) => row.key === key);
  if (row !== undefined) return `${key} belongs in [${row.section}]: put it below that line`;
  const near = nearest(key, [...sectionNames, 'version', ...notBuilt]);
  if (near !== undefined) return `did you mean "${near}"?`;
  return 'a document has version, [agent], [api], [audit] and [limits]';
}

/** The table of a section; an empty one if the document has none, or something else of that name. */
function sectionTable(name: SectionName, root: TomlTable, report: Report): TomlTable {
  const entry = root.entries.get(name);
  if (entry?.value.kind === 'table') return withoutRules(name, entry.value, report);
  if (entry !== undefined) {
    const found = entry.value.kind === 'array' ? 'a list of tables' : describeToml(entry.value);
    report.error(
      entry.span,
      `${name} must be a section, not ${found}`,
      `write [${name}] on a line of its own`,
    );
  }
  return { kind: 'table', entries: new Map(), span: entry?.span ?? root.span };
}

/** `[[api.rule]]` is part of the language, and not of this version. */
function withoutRules(name: SectionName, table: TomlTable, report: Report): TomlTable {
  const rule = name === 'api' ? table.entries.get('rule') : undefined;
  if (rule === undefined) return table;
  report.error(
    rule.span,
    '[[api.rule]] is not built yet',
    'remove it: this version would not do what it says',
  );
  return { ...table, entries: new Map(Array.from(table.entries).filter(([key]) => key !== 'rule')) };
}

/** `overridable` names keys of `[agent]` that have overrides. */
function checkOverridable(agent: TomlTable | undefined, report: Report): void {
  const list = agent?.entries.get('overridable')?.value;
  if (list?.kind !== 'array') return;
  const keys = settings.filter((row) => row.override !== undefined).map((row) => row.key);
  for (const item of list.items) {
    if (report.full) break;
    if (item.kind !== 'string' || keys.includes(item.value)) continue;
    const near = nearest(item.value, keys);
    const help = near === undefined ? 'docs/reference/settings.md lists the keys' : `did you mean "${near}"?`;
    report.error(item.span, unknown('key', item.value, 'in overridable'), help);
  }
}
