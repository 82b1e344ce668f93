import { type OperatorVerb, operatorVerbs } from '@kata-agent/catalogue';
import { createHash } from 'node:crypto';
import { findRelease, isGroupName, isManagementMethod } from '@kata-agent/catalogue';
import { type Diagnostic, nearest, parseToml, type TomlEntry, type TomlTable } from '@kata-agent/config';
import {
  decodeDocument,
  type EntryKeyRow,
  entryTables,
  expandList,
  quote,
  readEntry,
  readNamed,
  Report,
  unknown,
} from '@kata-agent/config/entries';
import { parsePeerEntries, parsePeerEntry, parsePin } from '@kata-agent/x509';
import { accept, type Authorization, type GuestEntry, nameFault } from './guest-acceptance.js';
import { guestKeys, operatorKeys } from './authorization-keys.js';
import { knownName, type OperatorEntry, operatorNameFault, operatorOf } from './operator-rights.js';

export type ParsedAuthorization =
  | { readonly ok: true; readonly authorization: Authorization; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** Parses an authorization file. Reports all errors at once, except that a syntax error hides later ones. */
export function parseAuthorization(bytes: Uint8Array, file: string): ParsedAuthorization {
  const decoded = decodeDocument(bytes, file);
  if (!decoded.ok) return { ok: false, diagnostics: [decoded.diagnostic] };
  const toml = parseToml(decoded.source);
  if (!toml.ok) return { ok: false, diagnostics: [toml.diagnostic] };
  const report = new Report(decoded.source);
  checkTopLevel(toml.root, report);
  const guests = readGuests(toml.root, report);
  const operators = tablesOf('operator', toml.root, report).flatMap((table) => {
    const entry = report.full ? undefined : readOperator(table, report);
    return entry === undefined ? [] : [entry];
  });
  if (report.failed) return { ok: false, diagnostics: report.diagnostics };
  const authorization: Authorization = {
    sha256: createHash('sha256').update(bytes).digest('hex'),
    accept: (facts, live) => accept(guests, facts, live),
    operator: (certificate) => operatorOf(operators, certificate),
  };
  return { ok: true, authorization, warnings: report.diagnostics };
}

const topLevel = ['version', 'guest', 'operator'];

function checkTopLevel(root: TomlTable, report: Report): void {
  for (const [key, { span, value }] of root.entries) {
    if (report.full) break;
    if (key === 'version') {
      if (value.kind === 'integer' && value.value === 1n) continue;
      const message = 'version must be 1, the only version of this language';
      report.error('KA1106', value.span, message, 'write version = 1, or leave it out');
    } else if (!topLevel.includes(key)) {
      const near = nearest(key, topLevel);
      const help =
        near === undefined
          ? 'the file has version, [[guest]] and [[operator]]'
          : `did you mean ${near === 'version' ? 'version' : `[[${near}]]`}?`;
      const kind = value.kind === 'table' || value.kind === 'array' ? 'section' : 'key';
      report.error('KA1101', span, unknown(kind, key, 'at the top of the file'), help);
    }
  }
}

function tablesOf(name: 'guest' | 'operator', root: TomlTable, report: Report): readonly TomlTable[] {
  const entry: TomlEntry | undefined = root.entries.get(name);
  return entry === undefined ? [] : entryTables(name, entry.value, entry.span, report);
}

/** Reads a table. The values are of the types of its rows. */
function valuesOf(
  rows: readonly EntryKeyRow[],
  table: TomlTable,
  report: Report,
): Readonly<Record<string, unknown>> {
  const values = readEntry(rows, table, 'base', report);
  return Object.fromEntries(Array.from(values, ([key, { value }]) => [key, value]));
}

interface GuestValues {
  readonly name?: string;
  readonly configurations?: readonly string[];
  readonly keys?: readonly string[];
  readonly max?: number;
  readonly attested?: boolean;
}

interface OperatorValues {
  readonly peers?: readonly string[];
  readonly guests?: readonly string[];
  readonly verbs?: readonly OperatorVerb[];
  readonly release?: string;
}

function readGuests(root: TomlTable, report: Report): readonly GuestEntry[] {
  const found = readNamed(
    'guest',
    tablesOf('guest', root, report),
    (table) => {
      const {
        name,
        configurations,
        keys,
        max = 1,
        attested = false,
      }: GuestValues = valuesOf(guestKeys, table, report);
      if (!table.entries.has('configurations') && !table.entries.has('keys'))
        report.error(
          'KA1104',
          table.span,
          'this [[guest]] has neither configurations nor keys: it accepts no guest',
          'write one, for example: configurations = ["sha256:…"]; ["*"] accepts every configuration',
        );
      if (name === undefined) return undefined;
      return {
        name,
        span: table.entries.get('name')?.span ?? table.span,
        configurations:
          configurations?.join() === '*' ? ('any' as const) : configurations && new Set(configurations),
        keys: keys && new Set(keys.map((pin) => parsePin(pin) ?? '')),
        max,
        attested,
      };
    },
    report,
  );
  for (const { name, span } of found) {
    const fault = nameFault(name, found);
    if (fault !== undefined)
      report.error('KA1107', span, `the name ${quote(name)} is ambiguous: ${fault}`, 'choose another name');
  }
  return found;
}

function readOperator(table: TomlTable, report: Report): OperatorEntry | undefined {
  const { peers, guests, verbs: allowed, release }: OperatorValues = valuesOf(operatorKeys, table, report);
  const methods = readMethods(table, release, report);
  if (allowed !== undefined && !allowed.includes('connect')) {
    const entry = table.entries.get('methods');
    if (entry !== undefined)
      report.error(
        'KA1108',
        entry.span,
        'methods has no effect without "connect" in verbs',
        `add "connect" to verbs, or remove methods; the verbs are ${operatorVerbs.join(', ')}`,
      );
  }
  if (peers === undefined || guests === undefined || allowed === undefined) return undefined;
  if (methods.size > 0) checkNames(table, report);
  return { peers: parsePeerEntries(peers), guests, verbs: new Set(allowed), methods };
}

/** Reports operators whose calls all guests would refuse where the relay is trusted: `methods` is about nothing else. */
function checkNames(table: TomlTable, report: Report): void {
  const list = table.entries.get('peers')?.value;
  for (const item of list?.kind === 'array' ? list.items : []) {
    const name = item.kind === 'string' ? knownName(parsePeerEntry(item.value)) : undefined;
    const fault = name === undefined ? undefined : operatorNameFault(name);
    if (item.kind !== 'string' || fault === undefined) continue;
    report.error(
      'KA1102',
      item.span,
      `the operator ${quote(item.value)} ${fault}: guests whose relay is trusted would refuse each of its calls`,
      'name it by spki:sha256:HEX or by a URI of its certificate, or remove methods, which operator-tls does not need',
    );
  }
}

/** Expands `methods`. Methods of management by exact name: no group and no `*` includes one. */
function readMethods(table: TomlTable, release: string | undefined, report: Report): ReadonlySet<string> {
  const list = table.entries.get('methods')?.value;
  checkRelease(table, report);
  if (list?.kind !== 'array') return new Set();
  const management = list.items.flatMap((item) =>
    item.kind === 'string' && isManagementMethod(item.value) ? [item.value] : [],
  );
  const items = list.items.filter((item) => item.kind !== 'string' || !isManagementMethod(item.value));
  for (const item of items) {
    if (item.kind !== 'string' || table.entries.has('release')) continue;
    if (item.value !== '*' && !isGroupName(item.value)) continue;
    report.error(
      'KA1208',
      item.span,
      `${quote(item.value)} in methods needs release: it would grow with releases of Kata`,
      'write the release that the list is for, such as release = "3.21", or name the methods',
    );
  }
  const context = { key: 'methods', release, handlers: undefined, report } as const;
  return new Set([...expandList({ ...list, items }, context).keys(), ...management]);
}

function checkRelease(table: TomlTable, report: Report): void {
  const entry = table.entries.get('release');
  if (entry?.value.kind !== 'string' || !/^\d+\.\d+(\.\d+)?$/.test(entry.value.value)) return;
  if (findRelease(entry.value.value) !== undefined) return;
  const message = `release = "${entry.value.value}" is no release that this program knows`;
  report.error('KA1209', entry.value.span, message, 'write a release that exists, such as "3.21"');
}
