import {
  type Constant,
  type ConstantType,
  type ProfileValue,
  type ProfileValues,
} from '@kata-agent/catalogue/profiles';
import { nearest } from '../diagnostics/misspelled-name.js';
import { quote } from '../diagnostics/display-text.js';
import type { Span } from '../diagnostics/diagnostic.js';
import { unknown } from '../settings/read-section.js';
import type { Report } from '../diagnostics/report.js';
import { describeToml, type TomlArray, type TomlTable, type TomlValue } from '../toml/toml-value.js';

type Table = { readonly [name: string]: Constant };

/** Checks one pattern; returns its fault. */
export type PatternCheck = (pattern: string) => string | undefined;

interface Place {
  /** `api.values`, `api.values.container`. */
  readonly name: string;
  readonly isPattern: PatternCheck;
  readonly report: Report;
}

/** Reads the values of a profile from `[api.values]`. Unknown, missing and wrong ones are reported at their positions. */
export function readValues(
  table: TomlTable | undefined,
  rows: ProfileValues,
  at: Span,
  check: PatternCheck,
  report: Report,
): Table {
  return readTable(table?.entries ?? new Map(), rows, table?.span ?? at, {
    name: 'api.values',
    isPattern: check,
    report,
  });
}

function readTable(entries: TomlTable['entries'], rows: ProfileValues, span: Span, place: Place): Table {
  const { report } = place;
  for (const [key, entry] of entries) {
    if (report.full) break;
    if (Object.hasOwn(rows, key)) continue;
    const near = nearest(key, Object.keys(rows));
    const help =
      near === undefined ? `${place.name} has ${Object.keys(rows).join(', ')}` : `did you mean "${near}"?`;
    report.error('KA1101', entry.span, unknown('key', key, `in ${place.name}`), help);
  }
  const values: Record<string, Constant> = {};
  for (const [key, row] of Object.entries(rows)) {
    if (report.full) break;
    const given = entries.get(key)?.value;
    if (given !== undefined) values[key] = readValue(given, key, row, place);
    else if (row.otherwise !== undefined) values[key] = row.otherwise;
    else report.error('KA1104', span, `${place.name} has no ${key}`, row.purpose);
  }
  return Object.freeze(values);
}

function readValue(given: TomlValue, key: string, row: ProfileValue, { report, ...more }: Place): Constant {
  const place = { ...more, report, name: `${more.name}.${key}` };
  if ('type' in row) return readConstant(given, row.type, place);
  if (given.kind !== 'array') return wrong(given, 'a list of tables', place);
  if (row.by !== undefined) unlike(given, row.by, place);
  return Object.freeze(
    given.items.map((item) =>
      item.kind === 'table'
        ? readTable(item.entries, row.tables, item.span, place)
        : wrong(item, 'a table', place),
    ),
  );
}

/** Refuses two tables that nothing tells apart: each rule would be content with either, so that a request could mix them. */
function unlike({ items }: TomlArray, by: string, { name, report }: Place): void {
  const found = new Set<string>();
  for (const item of items) {
    const value = item.kind === 'table' ? item.entries.get(by)?.value : undefined;
    if (value?.kind !== 'string') continue;
    if (found.has(value.value))
      report.error(
        'KA1107',
        value.span,
        `${name} has ${quote(value.value)} twice`,
        `give each a different ${by}`,
      );
    found.add(value.value);
  }
}

function readConstant(given: TomlValue, type: ConstantType, place: Place): Constant {
  if (typeof type === 'object') {
    if (!('list' in type)) throw new TypeError('a record is written as a table');
    if (given.kind !== 'array') return wrong(given, 'a list', place);
    return Object.freeze(given.items.map((item) => readConstant(item, type.list, place)));
  }
  switch (type) {
    case 'string':
      return given.kind === 'string' ? given.value : wrong(given, 'a text', place);
    case 'bool':
      return given.kind === 'boolean' ? given.value : wrong(given, 'true or false', place);
    case 'int':
      return given.kind === 'integer' ? given.value : wrong(given, 'a whole number', place);
    case 'pattern': {
      if (given.kind !== 'string') return wrong(given, 'a pattern as text', place);
      const fault = place.isPattern(given.value);
      if (fault !== undefined)
        place.report.error('KA1308', given.span, fault, 'docs/reference/rules.md describes patterns');
      return given.value;
    }
  }
}

/** Reports the value; the result is never used, since the document fails. */
function wrong(given: TomlValue, expected: string, { name, report }: Place): Constant {
  report.error(
    'KA1102',
    given.span,
    `${name} must be ${expected}, not ${describeToml(given)}`,
    'see docs/reference/profiles.md',
  );
  return '';
}
