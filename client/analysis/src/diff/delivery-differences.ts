import { type Configuration, settings } from '@kata-agent/config';
import type { Difference, Effect } from './difference.js';
import { sameValue, settingTexts, valueOf } from './setting-value.js';

/**
 * Returns differences in `[delivery]`. Further documents can only narrow, so a difference opens the guest if fewer
 * documents are certain to arrive, or if other documents are accepted.
 */
export function deliveryDifferences(before: Configuration, after: Configuration): readonly Difference[] {
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
