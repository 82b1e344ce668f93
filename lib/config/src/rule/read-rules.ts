import { isGroupName, type MethodName } from '@kata-agent/catalogue';
import type { CheckedExpression, ListEntry, Rule, RuleChecker } from '../configuration.js';
import type { Diagnostic, Span } from '../diagnostics/diagnostic.js';
import { expandList, type ListOptions } from '../document/api-document.js';
import {
  type DocumentRole,
  type EntryKeyRow,
  type EntryValue,
  entryTables,
  readEntry,
  readNamed,
} from '../document/entry-key.js';
import type { Report } from '../diagnostics/report.js';
import type { TomlEntry, TomlTable } from '../toml/toml-value.js';
import { ruleKeys } from './rule-keys.js';
import { stringOffsets } from './string-offsets.js';

const rows: readonly EntryKeyRow[] = Object.values<EntryKeyRow>(ruleKeys);

/** Inputs for reading rules besides their text. */
export interface RuleOptions extends ListOptions {
  readonly role: DocumentRole;
  /** Called when there is a rule. */
  readonly rules: () => Promise<RuleChecker>;
}

/** Reads and checks all `[[api.rule]]` tables of a document. Errors are reported at their positions. */
export async function readRules(
  entry: TomlEntry | undefined,
  options: RuleOptions,
  report: Report,
): Promise<readonly Rule[]> {
  if (entry === undefined) return [];
  const tables = entryTables('api.rule', entry.value, entry.span, report);
  if (tables.length === 0) return [];
  const checker = await options.rules();
  return readNamed('api.rule', tables, (table) => readRule(table, options, checker, report), report);
}

function readRule(
  table: TomlTable,
  options: RuleOptions,
  checker: RuleChecker,
  report: Report,
): Rule | undefined {
  const given = readEntry(rows, table, options.role, report);
  const methods = methodsOf(given.get('endpoints'), options, report);
  const expression = given.get('expression');
  const checked =
    expression !== undefined && methods !== undefined
      ? checkExpression(expression, methods, checker, report)
      : undefined;
  const name = given.get('name');
  if (name === undefined || expression === undefined || methods === undefined) return undefined;
  // Each value was parsed by its key's type.
  const onDeniedRead = given.get('on_denied_read')?.value as Rule['onDeniedRead'];
  if (onDeniedRead !== undefined && !methods.has('ReadStdout') && !methods.has('ReadStderr')) {
    const message = 'on_denied_read has no effect: the rule covers neither ReadStdout nor ReadStderr';
    report.error('KA1108', given.get('on_denied_read')?.span ?? name.span, message, 'remove it');
  }
  const needsGuest =
    expression === undefined || checked === undefined ? [] : usesOfGuest(expression, checked, report);
  const message = given.get('message')?.value as Rule['message'];
  return {
    name: String(name.value),
    methods,
    expression: String(expression.value),
    ...(checked === undefined ? {} : { checked }),
    ...(message === undefined ? {} : { message }),
    enforcement: (given.get('enforcement')?.value as Rule['enforcement'] | undefined) ?? 'enforce',
    ...(onDeniedRead === undefined ? {} : { onDeniedRead }),
    ...(needsGuest.length === 0 ? {} : { needsGuest }),
    span: name.node.span,
  };
}

function methodsOf(
  given: EntryValue | undefined,
  options: ListOptions,
  report: Report,
): ReadonlyMap<MethodName, ListEntry> | undefined {
  if (given?.node.kind !== 'array') return undefined;
  const methods = expandList(given.node, { ...options, key: 'endpoints', report });
  if (methods.size > 0) return methods;
  const { span, items } = given.node;
  if (items.length === 0)
    report.error('KA1311', span, 'this rule names no endpoint', 'for example: endpoints = ["ExecProcess"]');
  else if (
    options.release !== undefined &&
    items.every((item) => item.kind === 'string' && isGroupName(item.value))
  )
    report.error(
      'KA1311',
      span,
      `no endpoint of this rule existed in release = "${options.release}"`,
      'remove the rule, or write a later release',
    );
  return undefined;
}

function checkExpression(
  given: EntryValue,
  methods: ReadonlyMap<MethodName, ListEntry>,
  checker: RuleChecker,
  report: Report,
): CheckedExpression | undefined {
  if (given.node.kind !== 'string') return undefined;
  const { value, range } = given.node;
  const checked = checker.check({ expression: value, methods: Array.from(methods.keys()) });
  if (checked.faults.length === 0) return checked;
  const offsets = stringOffsets(report.source.text, range[0], range[1]);
  for (const { severity, code, start, end, message, help } of checked.faults) {
    report[severity](
      code,
      spanOf(report, offsets, start, end),
      message,
      help ?? 'docs/reference/rules.md describes the language of rules',
    );
  }
  return checked;
}

/** Returns the errors that the uses of the guest's state are with `[agent] forward`. */
function usesOfGuest(
  { node }: EntryValue,
  { needsGuest }: CheckedExpression,
  report: Report,
): readonly Diagnostic[] {
  if (node.kind !== 'string' || needsGuest.length === 0) return [];
  const offsets = stringOffsets(report.source.text, node.range[0], node.range[1]);
  return needsGuest.map(({ code, start, end, message, help }) =>
    report.source.error(code, spanOf(report, offsets, start, end), message, help ?? ''),
  );
}

/** Returns the position in the document of a part of a decoded expression. */
function spanOf(report: Report, offsets: readonly number[], start: number, end: number): Span {
  const last = offsets.at(-1) ?? 0;
  const from = offsets[Math.max(start, 0)] ?? last;
  return report.source.span(from, Math.max(offsets[Math.max(end, 0)] ?? last, from));
}
