import type { SectionName } from '../configuration.js';
import { nearest } from '../diagnostics/misspelled-name.js';
import { unknown } from '../settings/read-section.js';
import type { Report } from '../diagnostics/report.js';
import { settings } from '../settings/settings.js';
import { describeToml, type TomlEntry, type TomlTable } from '../toml/toml-value.js';

/** The sections of a document, in order. */
export const sectionNames: readonly SectionName[] = [
  'agent',
  'api',
  'delivery',
  'measurement',
  'image',
  'evidence',
  'audit',
  'limits',
];

/** Lists of tables at the top of a document. */
const tableNames: readonly string[] = ['listener', 'secret'];

/** Reports top-level keys other than the version, sections and lists of tables. */
export function checkTopLevel(root: TomlTable, report: Report): void {
  for (const [key, entry] of root.entries) {
    if (report.full) break;
    if (key === 'version') checkVersion(entry, report);
    else if (!tableNames.includes(key) && !sectionNames.some((name) => name === key)) {
      const kind = entry.value.kind === 'table' || entry.value.kind === 'array' ? 'section' : 'key';
      report.error(
        'KA1101',
        entry.span,
        unknown(kind, key, 'at the top of the document'),
        helpForTopLevel(key),
      );
    }
  }
}

function checkVersion({ value }: TomlEntry, report: Report): void {
  if (value.kind === 'integer' && value.value === 1n) return;
  const message = `version must be 1, the only version of this language, not ${describeToml(value)}`;
  report.error('KA1106', value.span, message, 'write version = 1, or leave it out');
}

function helpForTopLevel(key: string): string {
  if (key === 'endpoints')
    return 'write the entries of Kata\'s [endpoints] in [api]: allowed_endpoints = ["CreateSandbox"]';
  if (key === 'rule') return 'did you mean [[api.rule]]?';
  const row = settings.find((row) => row.key === key);
  if (row !== undefined) return `${key} belongs in [${row.section}]: put it below that line`;
  const near = nearest(key, [...sectionNames, 'version', ...tableNames]);
  if (near !== undefined) return `did you mean "${near}"?`;
  const sections = sectionNames.map((name) => `[${name}]`).join(', ');
  return `a document has version, ${sections}, [[listener]] and [[secret]]`;
}

/** Returns the table of a section; an empty one if it is missing or not a table. */
export function sectionTable(name: SectionName, root: TomlTable, report: Report): TomlTable {
  const entry = root.entries.get(name);
  if (entry?.value.kind === 'table') return entry.value;
  if (entry !== undefined) {
    const found = entry.value.kind === 'array' ? 'a list of tables' : describeToml(entry.value);
    report.error(
      'KA1103',
      entry.span,
      `${name} must be a section, not ${found}`,
      `write [${name}] on a line of its own`,
    );
  }
  return { kind: 'table', entries: new Map(), span: entry?.span ?? root.span };
}
