import { compareReleases } from '@kata-agent/catalogue';
import type { OtherValue, SettingValue } from './configuration.js';
import { type Diagnostic, place, type Span } from './diagnostic.js';
import type { ParsedDocument } from './document/parsed-document.js';
import { type Given, same } from './read-section.js';
import type { MergeRule, SettingRow } from './settings/setting.js';

/** What the documents together say of a setting. */
export interface Merged {
  readonly value: SettingValue;
  /** The document's word that decided; undefined: the default stands. */
  readonly from: Span | undefined;
  /** What other documents said. */
  readonly others: readonly OtherValue[];
}

/**
 * Applies a setting's merge rule to what the documents give it, the base document first. Lists of endpoints are not
 * made into one list: each document's stands beside the others' in `api.documents`, and all must serve a method.
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
    merged = rules[row.merge](merged, given, (message, help) => {
      report({ severity: 'error', message, span: given.span, sourceLine: document.lineOf(given.span), help });
    });
  }
  return merged;
}

type Rule = (merged: Merged, given: Given, refuse: (message: string, help: string) => void) => Merged;

const rules: { readonly [R in MergeRule]: Rule } = {
  intersect: (merged, given) => yielding(merged, given, 'narrows this list further'),
  union: (merged, given) => yielding(merged, given, 'adds to this list'),
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
    refuse(`${given.row.key} may stand in the base document alone`, 'remove it from this document');
    return merged;
  },
  owner: (merged, given, refuse) => {
    if (merged.from === undefined) return { ...merged, value: given.value, from: given.span };
    if (!same(merged.value, given.value)) {
      const owner = `${merged.from.file}:${merged.from.line}`;
      refuse(`${given.row.key} has another value in ${owner}, which set it first`, 'remove one of the two');
      return merged;
    }
    return yielding(merged, given, 'says the same');
  },
};

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
