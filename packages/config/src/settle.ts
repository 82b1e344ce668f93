import type { Effective, IgnoredOverride, OtherValue, SettingValue } from './configuration.js';
import { type Diagnostic, place } from './diagnostic.js';
import { quote } from './display-text.js';
import type { ParsedDocument } from './document.js';
import { type Merged, mergeSetting } from './merge.js';
import { forbidsOverride } from './override-permission.js';
import type { Override } from './overrides.js';
import { notBuiltYet, same } from './read-section.js';
import type { SettingRow } from './settings/setting.js';
import { settings } from './settings/settings.js';
import { expected, type Reading, read } from './value-types/value-type.js';

export interface Settled {
  readonly values: readonly Effective[];
  readonly ignoredOverrides: readonly IgnoredOverride[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Decides each row of the settings table: documents by their merge rule, then the overrides that they let through. */
export function settle(
  documents: readonly ParsedDocument[],
  overrides: readonly Override[],
  restricted: boolean,
): Settled {
  const values: Effective[] = [];
  const ignoredOverrides: IgnoredOverride[] = [];
  const diagnostics: Diagnostic[] = [];
  const report: Reporter = (diagnostic) => void diagnostics.push(diagnostic);
  for (const row of settings) {
    const merged = mergeSetting(row, documents, report);
    const ours = overrides.filter((override) => override.row === row);
    const reason = forbidsOverride(row, documents, restricted);
    if (reason === undefined) values.push(overridden(row, merged, ours, report));
    else {
      ignoredOverrides.push(...ours.map((override) => ignored(override, reason, report)));
      values.push(kept(row, merged, ours, reason));
    }
  }
  checkLockBesideList(documents, report);
  return { values, ignoredOverrides, diagnostics };
}

type Reporter = (diagnostic: Diagnostic) => void;

/** The strongest override decides; all are read, since a bad value is an error wherever it stands. */
function overridden(
  row: SettingRow,
  merged: Merged,
  overrides: readonly Override[],
  report: Reporter,
): Effective {
  const others: OtherValue[] = [];
  let winner: { readonly value: SettingValue; readonly source: string } | undefined;
  for (const override of overrides) {
    const reading = readOverride(override);
    if (!reading.ok) {
      const found = override.text === undefined ? 'given without a value' : quote(override.text);
      const message = `${row.key} must be ${reading.expected}, not ${found}`;
      report(override.diagnose('error', message, reading.help ?? `for example: ${row.example}`));
    } else if (winner === undefined) {
      winner = { value: reading.value, source: override.source };
      reportNotBuilt(override, reading.value, report);
    } else {
      others.push({ value: reading.value, source: override.source, reason: `weaker than ${winner.source}` });
    }
  }
  if (winner === undefined) return fromDocuments(row, merged, others);
  if (merged.from !== undefined) {
    others.push({
      value: merged.value,
      source: place(merged.from),
      reason: `overridden by ${winner.source}`,
    });
  }
  return { section: row.section, key: row.key, ...winner, others: [...others, ...merged.others] };
}

/** No override changes the value; what they said is kept, as it was written. */
function kept(row: SettingRow, merged: Merged, overrides: readonly Override[], reason: string): Effective {
  const others = overrides.map(({ text, source }) => ({ value: text ?? true, source, reason }));
  return fromDocuments(row, merged, others);
}

function fromDocuments(row: SettingRow, merged: Merged, others: readonly OtherValue[]): Effective {
  return {
    section: row.section,
    key: row.key,
    value: merged.value,
    source: merged.from === undefined ? 'default' : place(merged.from),
    ...(merged.from === undefined ? {} : { span: merged.from }),
    others: [...others, ...merged.others],
  };
}

function readOverride({ row, text }: Override): Reading<SettingValue> {
  if (text !== undefined) return row.type.fromText(text);
  return row.type.bare === undefined ? expected(`given as a value of ${row.type.name}`) : read(row.type.bare);
}

function ignored(override: Override, reason: string, report: Reporter): IgnoredOverride {
  const { row, source, text } = override;
  const message = `ignored, and ${row.key} stays as it is: ${reason}`;
  const help = `to let it through, the document needs overridable = ["${row.key}"], and no lock`;
  report(override.diagnose('warning', message, help));
  return { key: row.key, value: text ?? '', source, reason };
}

function reportNotBuilt(override: Override, value: SettingValue, report: Reporter): void {
  const { row } = override;
  if (row.built === 'yes' || same(value, row.default)) return;
  const { message, help } = notBuiltYet(row);
  report(override.diagnose(row.built === 'kata' ? 'warning' : 'error', message, help));
}

function checkLockBesideList(documents: readonly ParsedDocument[], report: Reporter): void {
  const [base] = documents;
  const list = base?.sections.agent.get('overridable');
  if (base === undefined || list === undefined || base.sections.agent.get('lock')?.value !== true) return;
  report({
    severity: 'warning',
    message: 'overridable does nothing beside lock = true: lock wins',
    span: list.span,
    sourceLine: base.lineOf(list.span),
    help: 'remove one of the two',
  });
}
