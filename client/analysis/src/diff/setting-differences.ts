import { createHash } from 'node:crypto';
import {
  type Configuration,
  type ImageConfiguration,
  type ImageSignatureList,
  type SettingRow,
  settings,
  type SettingValue,
} from '@kata-agent/config';
import type { Difference, Effect } from './difference.js';
import { directionOf } from './setting-directions.js';

/** Limit of listed keys, others are counted; keys that open the guest come first. */
const shown = 8;

/** Returns the settings with different values, and the effects. */
export function settingDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const found = settings.flatMap((row): readonly Difference[] => {
    const direction = directionOf(row);
    const was = valueOf(before, row);
    const is = valueOf(after, row);
    if (direction === undefined || sameValue(was, is)) return [];
    return [{ about: 'setting', ...settingTexts(row, was, is), ...direction(was, is) }];
  });
  return [
    ...found,
    ...imageDifferences(before, after),
    ...overridingDifferences(before, after),
    ...deliveryDifferences(before, after),
  ];
}

/** Returns the keys of `[agent]` that an override can set in only one of the configurations. */
function overridingDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const were = overridable(before);
  const are = overridable(after);
  const row = { about: 'setting', name: 'agent.overridable' } as const;
  const found: Difference[] = [];
  const gained = [...are].filter((key) => !were.has(key));
  const lost = [...were].filter((key) => !are.has(key));
  if (gained.length > 0) found.push({ ...row, effect: 'opens', why: `an override can set ${some(gained)}` });
  if (lost.length > 0)
    found.push({ ...row, effect: 'closes', why: `an override can no longer set ${some(lost)}` });
  return found;
}

function some(keys: readonly string[]): string {
  const named = keys.slice(0, shown);
  const more = keys.length - named.length;
  return `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** The same condition as for each override on load (docs/configuration.md, "Overrides"). */
function overridable({ settings: { lock, overridable }, restricted }: Configuration): ReadonlySet<string> {
  if (lock) return new Set();
  const rows = settings.filter((row) => row.override !== undefined);
  return new Set(
    rows
      .filter((row) =>
        overridable === undefined ? !(row.opensGuest && restricted) : overridable.includes(row.key),
      )
      .toSorted((a, b) => Number(b.opensGuest) - Number(a.opensGuest))
      .map(({ key }) => key),
  );
}

/**
 * Returns differences in `[delivery]`. Further documents can only narrow, so a difference opens the guest if fewer
 * documents are certain to arrive, or if other documents are accepted.
 */
function deliveryDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const accepted = { before: accepts(before), after: accepts(after) };
  return settings
    .filter(({ section }) => section === 'delivery')
    .flatMap((row): readonly Difference[] => {
      const was = valueOf(before, row);
      const is = valueOf(after, row);
      if (sameValue(was, is)) return [];
      const texts = settingTexts(row, was, is);
      return [{ about: 'setting', ...texts, ...effectOf(row.key, was, is, accepted) }];
    });
}

interface Accepted {
  readonly before: boolean;
  readonly after: boolean;
}

function effectOf(
  key: string,
  was: unknown,
  is: unknown,
  accepted: Accepted,
): { readonly effect: Effect; readonly why: string } {
  if (key === 'accept') return acceptance(accepted);
  if (!accepted.before || !accepted.after)
    return { effect: 'changes', why: 'without `accept` in both configurations it has no effect' };
  if (key === 'required') {
    return is === true
      ? { effect: 'closes', why: 'the agent does not start without a further document' }
      : { effect: 'opens', why: 'a further document that narrows can be omitted' };
  }
  if (key === 'may_set') {
    const opens = listOf(is).some((name) => !listOf(was).includes(name));
    return opens
      ? { effect: 'opens', why: 'a delivered document sets what this one set or left out' }
      : { effect: 'closes', why: 'a delivered document can set less' };
  }
  if (key === 'bind' && was === 'none') return { effect: 'closes', why: 'a further document must be bound' };
  if (key === 'bind' && is === 'none')
    return { effect: 'opens', why: 'further documents are no longer bound' };
  return { effect: 'opens', why: 'other documents are accepted: counts as opening' };
}

function acceptance({ before, after }: Accepted): { readonly effect: Effect; readonly why: string } {
  if (!before) return { effect: 'closes', why: 'further documents are accepted, which can only narrow' };
  return after
    ? { effect: 'opens', why: 'documents that narrowed may no longer arrive: counts as opening' }
    : { effect: 'opens', why: 'no further document narrows this one any more' };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function accepts(configuration: Configuration): boolean {
  const value = valueOf(configuration, { section: 'delivery', key: 'accept' });
  return Array.isArray(value) && value.length > 0;
}

/** Returns the effective value of a row. */
function valueOf({ values }: Configuration, row: Pick<SettingRow, 'section' | 'key'>): SettingValue {
  return values.find(({ section, key }) => section === row.section && key === row.key)?.value;
}

function sameValue(before: SettingValue, after: SettingValue): boolean {
  return JSON.stringify(before) === JSON.stringify(after);
}

/** Returns a row's name, and both values as written in a document. */
function settingTexts(
  row: SettingRow,
  before: SettingValue,
  after: SettingValue,
): { readonly name: string; readonly before: string; readonly after: string } {
  const write = (value: SettingValue): string => (value === undefined ? '(not set)' : row.type.write(value));
  return { name: `${row.section}.${row.key}`, before: write(before), after: write(after) };
}

/** Returns differences in the lists of `[image]` that documents narrow together: an image must pass those of each. */
function imageDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  return [
    ...imageDifference('image.registries', before.image.registries, after.image.registries, registriesEffect),
    ...imageDifference(
      'image.signatures',
      signaturesOf(before.image),
      signaturesOf(after.image),
      signaturesEffect,
    ),
  ];
}

interface Outcome {
  readonly effect: Effect;
  readonly why: string;
}

function imageDifference<T>(
  name: string,
  before: readonly T[],
  after: readonly T[],
  effectOf: (before: readonly T[], after: readonly T[]) => Outcome,
): readonly Difference[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const texts = { before: listText(before), after: listText(after) };
  return [{ about: 'setting', name, ...texts, ...effectOf(before, after) }];
}

type Lists = ImageConfiguration['registries'];

/** Patterns are compared as texts: a list that may cover more than one before counts as opening. */
function registriesEffect(before: Lists, after: Lists): Outcome {
  const narrower = before.every((was) => after.some((is) => is.every((pattern) => was.includes(pattern))));
  return narrower
    ? { effect: 'closes', why: 'images come from fewer repositories' }
    : { effect: 'opens', why: 'images come from other repositories' };
}

/** Returns the closed lists, and the entries of the others as one list: it does not matter which of these has an entry. */
function signaturesOf({ signatures }: ImageConfiguration): readonly ImageSignatureList[] {
  const closed = signatures.filter((list) => list.closed);
  const entries = signatures.filter((list) => !list.closed).flatMap((list) => list.entries);
  return entries.length === 0 ? closed : [...closed, { entries, closed: false }];
}

/** What is added to a closed list accepts more scopes; what is added to the others' requires more. */
function signaturesEffect(
  before: readonly ImageSignatureList[],
  after: readonly ImageSignatureList[],
): Outcome {
  if (before.length === 0) return { effect: 'closes', why: 'images need signatures' };
  if (after.length === 0) return { effect: 'opens', why: 'images need no signature' };
  const lists = after.map((list) => JSON.stringify(list));
  const entries = after.flatMap((list) => list.entries.map((entry) => JSON.stringify(entry)));
  const stays = before.every((list) =>
    list.closed
      ? lists.includes(JSON.stringify(list))
      : list.entries.every((entry) => entries.includes(JSON.stringify(entry))),
  );
  return stays
    ? { effect: 'closes', why: 'images of some scopes need further signatures' }
    : { effect: 'opens', why: 'images need other signatures' };
}

function listText(values: readonly unknown[]): string {
  return values.length === 0
    ? '(not set)'
    : values.map((value) => JSON.stringify(value, shortened)).join(' and ');
}

/** A trusted root has pages. */
function shortened(name: string, value: unknown): unknown {
  return name === 'trustedRoot' && typeof value === 'string'
    ? `sha256:${createHash('sha256').update(value).digest('hex')}`
    : value;
}
