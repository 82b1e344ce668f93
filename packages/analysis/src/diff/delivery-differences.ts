import { type Configuration, settings } from '@kata-agent/config';
import type { Difference, Effect } from './difference.js';
import { sameValue, settingTexts, valueOf } from './setting-value.js';

/**
 * What became of `[delivery]`. Further documents can only narrow, so what counts is whether they surely come, and
 * whose they are.
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
      return [{ about: 'setting', ...texts, ...verdict(row.key, was, is, accepted) }];
    });
}

interface Accepted {
  readonly before: boolean;
  readonly after: boolean;
}

function verdict(
  key: string,
  was: unknown,
  is: unknown,
  accepted: Accepted,
): { readonly effect: Effect; readonly why: string } {
  if (key === 'accept') return acceptance(accepted);
  if (!accepted.before || !accepted.after)
    return { effect: 'changes', why: 'without `accept` in both it decides nothing by itself' };
  if (key === 'required') {
    return is === true
      ? { effect: 'closes', why: 'without a further document the agent does not start' }
      : { effect: 'opens', why: 'a further document that narrows can be left out' };
  }
  if (key === 'bind' && was === 'none')
    return { effect: 'closes', why: 'a further document has to be vouched for' };
  if (key === 'bind' && is === 'none')
    return { effect: 'opens', why: 'nothing vouches for a further document any more' };
  return { effect: 'opens', why: 'other documents are taken now, so it counts as opening' };
}

function acceptance({ before, after }: Accepted): { readonly effect: Effect; readonly why: string } {
  if (!before) return { effect: 'closes', why: 'further documents are taken, which can only narrow' };
  return after
    ? { effect: 'opens', why: 'documents that narrowed may come no more, so it counts as opening' }
    : { effect: 'opens', why: 'no further document narrows this one any more' };
}

function accepts(configuration: Configuration): boolean {
  const value = valueOf(configuration, { section: 'delivery', key: 'accept' });
  return Array.isArray(value) && value.length > 0;
}
