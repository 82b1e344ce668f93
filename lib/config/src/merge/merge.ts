import { compareReleases } from '@kata-agent/catalogue';
import type { OtherValue, SettingValue } from '../configuration.js';
import { type Diagnostic, place, type Span } from '../diagnostics/diagnostic.js';
import type { ParsedDocument } from '../parse/parsed-document.js';
import { type Given, same } from '../settings/read-section.js';
import type { MergeRule, SettingRow } from '../settings/setting.js';

/** The merged value of a setting. */
export interface Merged {
  readonly value: SettingValue;
  /** Where the deciding value was written; undefined when it is the default. */
  readonly from: Span | undefined;
  /** The values of other documents. */
  readonly others: readonly OtherValue[];
}

/**
 * Merges a setting's values by its merge rule, the base document first. Endpoint lists are not merged: each document's
 * are kept in `api.documents`, and all must serve a method.
 */
export function mergeSetting(
  row: SettingRow,
  documents: readonly ParsedDocument[],
  report: (diagnostic: Diagnostic) => void,
): Merged {
  const [base, ...later] = documents.map((document) => document.sections[row.section].get(row.key));
  let merged: Merged = { value: base?.value ?? row.default, from: base?.span, others: [] };
  for (const [index, given] of later.entries()) {
    const document = documents[index + 1];
    if (given === undefined || document === undefined) continue;
    merged = rules[row.merge](merged, given, (code, message, help) => {
      report({
        severity: 'error',
        code,
        message,
        span: given.span,
        sourceLine: document.lineOf(given.span),
        help,
      });
    });
  }
  return merged;
}

type Rule = (
  merged: Merged,
  given: Given,
  refuse: (code: Diagnostic['code'], message: string, help: string) => void,
) => Merged;

const rules: { readonly [R in MergeRule]: Rule } = {
  intersect: (merged, given) => first(merged, given) ?? yielding(merged, given, 'narrows this list further'),
  union: (merged, given) => first(merged, given) ?? yielding(merged, given, 'adds to this list'),
  minimum: (merged, given) =>
    lower(given.value, merged.value)
      ? replaced(merged, given, 'the lowest value counts')
      : yielding(merged, given, 'the lowest value counts'),
  earliest: (merged, given) =>
    earlier(given.value, merged.value)
      ? replaced(merged, given, 'the earliest release counts')
      : yielding(merged, given, 'the earliest release counts'),
  or: (merged, given) =>
    given.value === true && merged.value !== true
      ? replaced(merged, given, 'true in one document is enough')
      : yielding(merged, given, 'true in one document is enough'),
  'base only': (merged, given, refuse) => {
    refuse('KA1709', `${given.row.key} is allowed only in the base document`, 'remove it from this document');
    return merged;
  },
  owner: (merged, given, refuse) => {
    if (merged.from === undefined) return { ...merged, value: given.value, from: given.span };
    if (!same(merged.value, given.value)) {
      const owner = `${merged.from.file}:${merged.from.line}`;
      refuse(
        'KA1710',
        `${given.row.key} has another value in ${owner}, which set it first`,
        'remove one of the two',
      );
      return merged;
    }
    return yielding(merged, given, 'has the same value');
  },
};

/** Returns the first list of all documents. */
function first(merged: Merged, given: Given): Merged | undefined {
  return merged.from === undefined && merged.value === undefined
    ? { ...merged, value: given.value, from: given.span }
    : undefined;
}

function yielding(merged: Merged, given: Given, reason: string): Merged {
  const other = { value: given.value, source: place(given.span), reason };
  return { ...merged, others: [...merged.others, other] };
}

function replaced(merged: Merged, given: Given, reason: string): Merged {
  const source = merged.from === undefined ? 'default' : place(merged.from);
  const other = { value: merged.value, source, reason };
  return { value: given.value, from: given.span, others: [...merged.others, other] };
}

function lower(a: SettingValue, b: SettingValue): boolean {
  return typeof a === 'number' && typeof b === 'number' && a < b;
}

function earlier(a: SettingValue, b: SettingValue): boolean {
  if (typeof a !== 'string') return false;
  return typeof b !== 'string' || compareReleases(a, b) < 0;
}
