import { createHash } from 'node:crypto';
import type { Configuration, ImageConfiguration, ImageSignatureList } from '@kata-agent/config';
import type { Difference, Effect } from './difference.js';

/** Returns differences in the lists of `[image]` that documents narrow together: an image must pass those of each. */
export function imageDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  return [
    ...difference('image.registries', before.image.registries, after.image.registries, registriesEffect),
    ...difference(
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

function difference<T>(
  name: string,
  before: readonly T[],
  after: readonly T[],
  effectOf: (before: readonly T[], after: readonly T[]) => Outcome,
): readonly Difference[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const texts = { before: textOf(before), after: textOf(after) };
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

function textOf(values: readonly unknown[]): string {
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
