import { quote } from '../display-text.js';
import type { Span } from '../diagnostic.js';
import { nearest } from '../nearest.js';
import { unknown } from '../read-section.js';
import type { Report } from '../report.js';
import { describeToml, type TomlTable, type TomlValue } from '../toml-value.js';
import type { ValueType } from '../value-types/value-type.js';

/** The tables that a document can have more than once. */
export type EntryTable = 'api.rule' | 'listener';

/** One key of such a table: all that parser, schema and reference page know of it. */
export interface EntryKey<T> {
  readonly table: EntryTable;
  readonly key: string;
  readonly type: ValueType<T>;
  readonly required: boolean;
  /** What it is for, in a sentence. */
  readonly purpose: string;
  /** A value in TOML. */
  readonly example: string;
  /** What stands if it is left out, in words. */
  readonly otherwise: string;
  /** Whether it may stand in other documents than the base. */
  readonly later: boolean;
  /** `later`: an error when it is set. */
  readonly built: 'yes' | 'later';
}

/** A key whatever its type. */
export type EntryKeyRow = EntryKey<unknown>;

/** The role of a document: the base may say everything, a later one and a fragment only what narrows. */
export type DocumentRole = 'base' | 'later';

/** What a key was given. */
export interface EntryValue {
  readonly value: unknown;
  /** The place of the key. */
  readonly span: Span;
  readonly node: TomlValue;
}

/** The tables of a name, in order; what is no list of tables is reported. */
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
      span,
      `${name} must be a list of tables, not ${found}`,
      `write [[${name}]] on a line of its own for each`,
    );
  }
  return tables.filter((item): item is TomlTable => item.kind === 'table');
}

/** Reads the keys of one table; everything that its rows do not know is reported, and so is a key that is missing. */
export function readEntry(
  rows: readonly EntryKeyRow[],
  table: TomlTable,
  role: DocumentRole,
  report: Report,
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
      report.error(entry.span, unknown('key', key, `in [[${name}]]`), help);
    } else if (row.built === 'later') {
      report.error(
        entry.span,
        `${key} is not built yet`,
        'remove it: this version would not do what it says',
      );
    } else if (role === 'later' && !row.later) {
      report.error(
        entry.span,
        `${key} of [[${name}]] may stand in the base document alone`,
        'remove it from this document',
      );
    } else {
      const reading = row.type.fromToml(entry.value);
      if (reading.ok) given.set(key, { value: reading.value, span: entry.span, node: entry.value });
      else {
        const message = `${key} must be ${reading.expected}, not ${describeToml(entry.value)}`;
        report.error(entry.value.span, message, reading.help ?? `for example: ${key} = ${row.example}`);
      }
    }
  }
  for (const row of rows) {
    if (!row.required || table.entries.has(row.key) || (role === 'later' && !row.later)) continue;
    report.error(
      table.span,
      `this [[${name}]] has no ${row.key}`,
      `write one, for example: ${row.key} = ${row.example}`,
    );
  }
  return given;
}

/** Reads each table, until the report is full; the second of two that have one name is reported and left out. */
export function readNamed<T extends { readonly name: string; readonly span: Span }>(
  name: EntryTable,
  tables: readonly TomlTable[],
  read: (table: TomlTable, index: number) => T | undefined,
  report: Report,
): readonly T[] {
  const found = new Map<string, T>();
  for (const [index, table] of tables.entries()) {
    if (report.full) break;
    const entry = read(table, index);
    if (entry === undefined) continue;
    const before = found.get(entry.name);
    if (before === undefined) found.set(entry.name, entry);
    else
      report.error(
        entry.span,
        `there is a [[${name}]] with the name ${quote(entry.name)} already, in ${before.span.file}:${before.span.line}`,
        'give each a name of its own',
      );
  }
  return Array.from(found.values());
}
