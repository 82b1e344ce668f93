import { quote } from '../diagnostics/display-text.js';
import type { Span } from '../diagnostics/diagnostic.js';
import { nearest } from '../diagnostics/misspelled-name.js';
import { unknown } from '../settings/read-section.js';
import type { Report } from '../diagnostics/report.js';
import { describeToml, type TomlTable, type TomlValue } from '../toml/toml-value.js';
import type { ValueType } from '../value-types/value-type.js';

/**
 * Tables that may occur several times in a document; `guest` and `operator` in the authorization file of a realm, `agent` in the
 * file of a collector.
 */
export type EntryTable =
  | 'api.rule'
  | 'listener'
  | 'secret'
  | 'audit.witness'
  | 'guest'
  | 'operator'
  | 'agent';

/** A key of such a table: the source for parser, schema and reference page. */
export interface EntryKey<T> {
  readonly table: EntryTable;
  readonly key: string;
  readonly type: ValueType<T>;
  readonly required: boolean;
  /** Its purpose, in one sentence. */
  readonly purpose: string;
  /** An example value in TOML. */
  readonly example: string;
  /** The effect of leaving it out, in words. */
  readonly otherwise: string;
  /** Whether it is allowed in further documents. */
  readonly later: boolean;
  /** `later`: setting it is an error. */
  readonly built: 'yes' | 'later';
}

/** A key of any type. */
export type EntryKeyRow = EntryKey<unknown>;

/** The role of a document: the base may set everything, a further document or fragment only restrictions. */
export type DocumentRole = 'base' | 'later';

/** The value of a key. */
export interface EntryValue {
  readonly value: unknown;
  /** The position of the key. */
  readonly span: Span;
  readonly node: TomlValue;
}

/** Returns the tables of a name, in order; a value that is not an array of tables is reported. */
export function entryTables(
  name: EntryTable,
  value: TomlValue | undefined,
  span: Span,
  report: Report,
): readonly TomlTable[] {
  if (value === undefined) return [];
  const tables = value.kind === 'array' ? value.items : [];
  const written = value.kind === 'array' && tables.every((item) => item.kind === 'table');
  if (!written) {
    const found = value.kind === 'table' ? 'a single table' : describeToml(value);
    report.error(
      'KA1103',
      span,
      `${name} must be a list of tables, not ${found}`,
      `write [[${name}]] on a separate line for each`,
    );
  }
  return tables.filter((item): item is TomlTable => item.kind === 'table');
}

/**
 * Reads the keys of one table; unknown and missing keys are reported.
 *
 * @param left reports whether the base document leaves a key to a further one, which may have it then.
 */
export function readEntry(
  rows: readonly EntryKeyRow[],
  table: TomlTable,
  role: DocumentRole,
  report: Report,
  left: (key: string) => boolean = () => false,
): ReadonlyMap<string, EntryValue> {
  const name = rows[0]?.table ?? 'listener';
  const given = new Map<string, EntryValue>();
  for (const [key, entry] of table.entries) {
    if (report.full) break;
    const row = rows.find((row) => row.key === key);
    if (row === undefined) {
      const near = nearest(
        key,
        rows.map((row) => row.key),
      );
      const help =
        near === undefined
          ? `[[${name}]] has ${rows.map((row) => row.key).join(', ')}`
          : `did you mean "${near}"?`;
      report.error('KA1101', entry.span, unknown('key', key, `in [[${name}]]`), help);
    } else if (row.built === 'later') {
      report.error(
        'KA1105',
        entry.span,
        `${key} is not built yet`,
        'remove it: this version does not support it',
      );
    } else if (role === 'later' && !row.later && !left(key)) {
      report.error(
        'KA1709',
        entry.span,
        `${key} of [[${name}]] is allowed only in the base document`,
        'remove it from this document',
      );
    } else {
      const reading = row.type.fromToml(entry.value);
      if (reading.ok) given.set(key, { value: reading.value, span: entry.span, node: entry.value });
      else {
        const message = `${key} must be ${reading.expected}, not ${reading.found ?? describeToml(entry.value)}`;
        report.error(
          'KA1102',
          entry.value.span,
          message,
          reading.help ?? `for example: ${key} = ${row.example}`,
        );
      }
    }
  }
  for (const row of rows) {
    if (!row.required || table.entries.has(row.key) || left(row.key)) continue;
    if (role === 'later' && !row.later) continue;
    report.error(
      'KA1104',
      table.span,
      `this [[${name}]] has no ${row.key}`,
      `write one, for example: ${row.key} = ${row.example}`,
    );
  }
  return given;
}

/** Reads each table until the report is full; a second table of the same name is reported and left out. */
export function readNamed<T extends { readonly name: string; readonly span: Span }>(
  name: EntryTable,
  tables: readonly TomlTable[],
  read: (table: TomlTable) => T | undefined,
  report: Report,
): readonly T[] {
  const found = new Map<string, T>();
  for (const table of tables) {
    if (report.full) break;
    const entry = read(table);
    if (entry === undefined) continue;
    const before = found.get(entry.name);
    if (before === undefined) found.set(entry.name, entry);
    else
      report.error(
        'KA1107',
        entry.span,
        `there is a [[${name}]] with the name ${quote(entry.name)} already, in ${before.span.file}:${before.span.line}`,
        'give each a different name',
      );
  }
  return Array.from(found.values());
}

/** A value and its position. */
export interface Located<T> {
  readonly value: T;
  readonly span: Span;
}
