import type { SectionName, SettingValue } from './configuration.js';
import type { Span } from './diagnostic.js';
import { quote } from './display-text.js';
import { foreignCharacter } from './look-alike.js';
import { nearest } from './nearest.js';
import type { Report } from './report.js';
import type { SettingRow } from './settings/setting.js';
import { settings } from './settings/settings.js';
import { describeToml, type TomlEntry, type TomlTable } from './toml-value.js';

/** A value that a document gives to a setting. */
export interface Given {
  readonly row: SettingRow;
  readonly value: SettingValue;
  /** The place of the key. */
  readonly span: Span;
}

/** What a document says in one section, by key. */
export type GivenSection = ReadonlyMap<string, Given>;

/** Reads the keys of a section by the settings table; everything that it does not know is reported. */
export function readSection(section: SectionName, table: TomlTable, report: Report): GivenSection {
  const rows = new Map(settings.filter((row) => row.section === section).map((row) => [row.key, row]));
  const given = new Map<string, Given>();
  for (const [key, entry] of table.entries) {
    if (report.full) break;
    const row = rows.get(key);
    if (row === undefined) reportUnknownKey(section, key, entry, report);
    else readKey(row, entry, given, report);
  }
  return given;
}

function readKey(row: SettingRow, entry: TomlEntry, given: Map<string, Given>, report: Report): void {
  const reading = row.type.fromToml(entry.value);
  if (!reading.ok) {
    const message = `${row.key} must be ${reading.expected}, not ${describeToml(entry.value)}`;
    report.error(entry.value.span, message, reading.help ?? `for example: ${row.key} = ${row.example}`);
    return;
  }
  given.set(row.key, { row, value: reading.value, span: entry.span });
  if (row.built !== 'yes' && !same(reading.value, row.default)) reportNotBuilt(row, entry, report);
}

/** Whether two values of a setting are the same. */
export function same(a: SettingValue, b: SettingValue): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** What to say of a setting of Kata's whose feature does not exist yet. */
export function notBuiltYet(row: SettingRow): { readonly message: string; readonly help: string } {
  return {
    message: `${row.key} is not built yet: setting it changes nothing`,
    help: 'docs/reference/differences.md lists what this agent does not do yet',
  };
}

function reportNotBuilt(row: SettingRow, entry: TomlEntry, report: Report): void {
  if (row.built === 'kata') {
    const { message, help } = notBuiltYet(row);
    report.warning(entry.span, message, help);
  } else {
    report.error(
      entry.span,
      `${row.key} is not built yet`,
      `remove it, or write the default: ${writeDefault(row)}`,
    );
  }
}

function writeDefault(row: SettingRow): string {
  return row.default === undefined ? `no ${row.key}` : `${row.key} = ${row.type.write(row.default)}`;
}

function reportUnknownKey(section: SectionName, key: string, entry: TomlEntry, report: Report): void {
  report.error(entry.span, unknown('key', key, `in [${section}]`), helpForKey(section, key));
}

/** `unknown key "x" in [agent]`, with the character that makes a look-alike differ. */
export function unknown(kind: string, name: string, where: string): string {
  const foreign = foreignCharacter(name);
  return `unknown ${kind} ${quote(name)} ${where}${foreign === undefined ? '' : `: ${foreign}`}`;
}

function helpForKey(section: SectionName, key: string): string {
  const elsewhere = settings.find((row) => row.key === key);
  if (elsewhere !== undefined) return `${key} belongs in [${elsewhere.section}]`;
  const here = settings.filter((row) => row.section === section).map((row) => row.key);
  const near = nearest(key, here);
  if (near !== undefined) return `did you mean "${near}"?`;
  if (section === 'agent') return 'docs/reference/settings.md lists the keys of [agent]';
  return `[${section}] has ${here.join(', ')}`;
}
