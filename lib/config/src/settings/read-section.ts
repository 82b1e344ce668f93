import type { SectionName, SettingValue } from '../configuration.js';
import type { DeliverySettings } from '../delivery.js';
import type { Diagnostic, Span } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import { foreignCharacter, nearest } from '../diagnostics/misspelled-name.js';
import type { Report } from '../diagnostics/report.js';
import type { SettingRow } from './setting.js';
import { settings } from './settings.js';
import { describeToml, type TomlEntry, type TomlTable } from '../toml/toml-value.js';
import { deliverySettings } from './delivery-settings.js';

/** A document's value of a setting. */
export interface Given {
  readonly row: SettingRow;
  readonly value: SettingValue;
  /** The position of the key. */
  readonly span: Span;
}

/** The values of one section, by key. */
export type GivenSection = ReadonlyMap<string, Given>;

/** Reads the keys of a section by the settings table; unknown ones are reported. */
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
    const message = `${row.key} must be ${reading.expected}, not ${reading.found ?? describeToml(entry.value)}`;
    report.error(
      'KA1102',
      entry.value.span,
      message,
      reading.help ?? `for example: ${row.key} = ${row.example}`,
    );
    return;
  }
  given.set(row.key, { row, value: reading.value, span: entry.span });
  const fault = withoutEffect(row, reading.value);
  if (fault === undefined) return;
  const { severity, code, message, help } = fault;
  report[severity](code, entry.span, message, help);
}

/** Returns the value of a setting that is a text; undefined: it is not set. */
export function textOf(given: Given | undefined): string | undefined {
  return typeof given?.value === 'string' ? given.value : undefined;
}

/** Reports whether two values of a setting are equal. */
export function same(a: SettingValue, b: SettingValue): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Returns why a value of a setting has no effect in this version; undefined when it has one. */
export function withoutEffect(
  row: SettingRow,
  value: SettingValue,
): Required<Pick<Diagnostic, 'severity' | 'code' | 'message' | 'help'>> | undefined {
  const { key, built, builtValues = [] } = row;
  if (built === 'yes' || [row.default, ...builtValues].some((one) => same(value, one))) return undefined;
  switch (built) {
    case 'kata':
      return {
        severity: 'warning',
        code: 'KA1105',
        message: `${key} is not built yet: setting it changes nothing`,
        help: 'docs/reference/differences.md lists what this agent does not do yet',
      };
    case 'unused':
      return {
        severity: 'warning',
        code: 'KA1108',
        message: `${key} does nothing: Kata's agent accepts it and never uses it, and so does this agent`,
        help: 'remove it',
      };
    case 'later':
      return {
        severity: 'error',
        code: 'KA1105',
        message: `${key} is not built yet`,
        help: `remove it, or write the default: ${writeDefault(row)}`,
      };
  }
}

function writeDefault(row: SettingRow): string {
  return row.default === undefined ? `no ${row.key}` : `${row.key} = ${row.type.write(row.default)}`;
}

function reportUnknownKey(section: SectionName, key: string, entry: TomlEntry, report: Report): void {
  report.error('KA1101', entry.span, unknown('key', key, `in [${section}]`), helpForKey(section, key));
}

/** Returns `unknown key "x" in [agent]`, with the character that makes a look-alike differ. */
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

/** Reads `[delivery]`, completed with defaults. Only the base document can have it, so nothing is merged. */
export function readDelivery(given: GivenSection): DeliverySettings {
  const valueOf = <P extends keyof DeliverySettings>(property: P): DeliverySettings[P] => {
    const row: SettingRow = deliverySettings[property];
    // Parsed by the row's own type.
    return (given.get(row.key)?.value ?? row.default) as DeliverySettings[P];
  };
  return {
    accept: valueOf('accept'),
    bind: valueOf('bind'),
    required: valueOf('required'),
    dropInDir: valueOf('dropInDir'),
    unusedInitdata: valueOf('unusedInitdata'),
    maySet: valueOf('maySet'),
  };
}
