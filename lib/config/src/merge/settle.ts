import type { Effective, IgnoredOverride, OtherValue, SettingValue } from '../configuration.js';
import { type Diagnostic, place } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import type { ParsedDocument } from '../parse/parsed-document.js';
import { type Merged, mergeSetting } from './merge.js';
import type { Override } from '../overrides.js';
import { agentSettings } from '../settings/agent-settings-table.js';
import { withoutEffect } from '../settings/read-section.js';
import type { SettingRow } from '../settings/setting.js';
import { settings } from '../settings/settings.js';
import { expected, type Reading, read } from '../value-types/value-type.js';

export interface Settled {
  readonly values: readonly Effective[];
  readonly ignoredOverrides: readonly IgnoredOverride[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Determines the value of each setting: documents by their merge rule, then the overrides that they permit. */
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
    const accepted: Override[] = [];
    const kept: OtherValue[] = [];
    for (const override of overrides.filter((override) => override.row === row)) {
      const forbidden = forbidsOverride(override, documents, restricted);
      if (forbidden === undefined) accepted.push(override);
      else {
        ignoredOverrides.push(ignored(override, forbidden, report));
        kept.push({ value: override.text ?? true, source: override.source, reason: forbidden.reason });
      }
    }
    values.push(overridden(row, merged, accepted, kept, report));
  }
  checkLockBesideList(documents, report);
  return { values, ignoredOverrides, diagnostics };
}

type Reporter = (diagnostic: Diagnostic) => void;

/**
 * Applies the strongest override. All are parsed, since an invalid value is an error anywhere. The texts of ignored
 * ones are kept as written.
 */
function overridden(
  row: SettingRow,
  merged: Merged,
  overrides: readonly Override[],
  ignored: readonly OtherValue[],
  report: Reporter,
): Effective {
  const others: OtherValue[] = [...ignored];
  let winner: { readonly value: SettingValue; readonly source: string } | undefined;
  for (const override of overrides) {
    const reading = readOverride(override);
    if (!reading.ok) {
      const found = override.text === undefined ? 'given without a value' : quote(override.text);
      const message = `${row.key} must be ${reading.expected}, not ${found}`;
      report(override.diagnose('error', 'KA1102', message, reading.help ?? `for example: ${row.example}`));
    } else if (winner === undefined) {
      winner = { value: reading.value, source: override.source };
      const fault = withoutEffect(row, reading.value);
      if (fault !== undefined)
        report(override.diagnose(fault.severity, fault.code, fault.message, fault.help));
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

function ignored(override: Override, { reason, help }: Forbidden, report: Reporter): IgnoredOverride {
  const { row, source, text } = override;
  const message = `ignored, and ${row.key} stays as it is: ${reason}`;
  report(override.diagnose('warning', 'KA1502', message, help));
  return { key: row.key, value: text ?? '', source, reason };
}

function checkLockBesideList(documents: readonly ParsedDocument[], report: Reporter): void {
  const [base] = documents;
  const list = base?.sections.agent.get('overridable');
  if (base === undefined || list === undefined || base.sections.agent.get('lock')?.value !== true) return;
  report({
    severity: 'warning',
    code: 'KA1108',
    message: 'overridable has no effect beside lock = true',
    span: list.span,
    sourceLine: base.lineOf(list.span),
    help: 'remove one of the two',
  });
}

/** Why an override is ignored, and how to permit it. */
interface Forbidden {
  readonly reason: string;
  readonly help: string;
}

/**
 * Returns why the documents forbid an override; undefined when they permit it. `lock` and `overridable` are set in the
 * base document. A setting that opens the guest must be listed in `overridable` once the documents restrict the API.
 */
function forbidsOverride(
  { row, way }: Pick<Override, 'row' | 'way'>,
  documents: readonly ParsedDocument[],
  restricted: boolean,
): Forbidden | undefined {
  const agent = documents[0]?.sections.agent;
  const help = `to allow it, the document needs overridable = ["${row.key}"], and no lock`;
  const lock = agent?.get('lock');
  if (lock?.value === true) return { reason: `locked by ${place(lock.span)}`, help };
  const movesApi = row.key === agentSettings.serverAddr.key;
  const listener = documents[0]?.listeners[0];
  if (movesApi && listener !== undefined) {
    const reason = `[[listener]] (${place(listener.span)}) sets the address of the API`;
    return { reason, help: 'to allow it, the document needs server_addr instead of [[listener]]' };
  }
  const overridable = agent?.get('overridable');
  if (overridable !== undefined && Array.isArray(overridable.value)) {
    return overridable.value.includes(row.key)
      ? undefined
      : { reason: `not in overridable (${place(overridable.span)})`, help };
  }
  if (!restricted) return undefined;
  const closed = 'the documents restrict the API without naming it in overridable';
  if (row.opensGuest) return { reason: `it opens the guest, and ${closed}`, help };
  // The host writes the kernel command line. A socket that containers can reach would give them the host's access.
  if (movesApi && way === 'kernel command line') return { reason: `it moves the API, and ${closed}`, help };
  return undefined;
}
