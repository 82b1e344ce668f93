import type { Configuration, ImageConfiguration, ImageSignatures } from '@kata-agent/config';
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

/** The signatures of an image configuration; of the first document or of a further one. */
interface Requirement {
  readonly document: 'first' | 'further';
  readonly signatures: readonly ImageSignatures[];
}

function signaturesOf({ signatures, addedSignatures }: ImageConfiguration): readonly Requirement[] {
  if (signatures === undefined) return [];
  const first: Requirement = { document: 'first', signatures };
  return addedSignatures.length === 0
    ? [first]
    : [first, { document: 'further', signatures: addedSignatures }];
}

/** What is added to the first document's list accepts more scopes; what is added to others' requires more. */
function signaturesEffect(before: readonly Requirement[], after: readonly Requirement[]): Outcome {
  if (before.length === 0) return { effect: 'closes', why: 'images need signatures' };
  if (after.length === 0) return { effect: 'opens', why: 'images need no signature' };
  const stays = before.every((was) => {
    const is = after.find(({ document }) => document === was.document)?.signatures ?? [];
    if (was.document === 'first') return JSON.stringify(is) === JSON.stringify(was.signatures);
    const texts = is.map((each) => JSON.stringify(each));
    return was.signatures.every((each) => texts.includes(JSON.stringify(each)));
  });
  return stays
    ? { effect: 'closes', why: 'images of some scopes need further signatures' }
    : { effect: 'opens', why: 'images need other signatures' };
}

function textOf(values: readonly unknown[]): string {
  return values.length === 0 ? '(not set)' : values.map((value) => JSON.stringify(value)).join(' and ');
}
