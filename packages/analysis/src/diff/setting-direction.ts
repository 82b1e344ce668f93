import { compareReleases } from '@kata-agent/catalogue';
import type { SettingRow, SettingValue } from '@kata-agent/config';
import type { Effect } from './difference.js';

/** What a change of a setting does, and why. */
interface Verdict {
  readonly effect: Effect;
  readonly why: string;
}

/** Judges a change; both values differ. */
export type Direction = (before: SettingValue, after: SettingValue) => Verdict;

/** It opens and closes nothing; `why` says what it is about instead. */
export function neutral(why: string): Direction {
  return () => ({ effect: 'changes', why });
}

/** Values from the most closed to the most open. One that is not among them counts as the most open. */
export function ordered(values: readonly SettingValue[], opens: string, closes: string): Direction {
  const place = (value: SettingValue): number => {
    const index = values.indexOf(value);
    return index === -1 ? values.length : index;
  };
  return (before, after) => {
    const [was, is] = [place(before), place(after)];
    if (was === is) return unknown(before, after);
    return is > was ? { effect: 'opens', why: opens } : { effect: 'closes', why: closes };
  };
}

/** More is possible with a larger number. */
export const larger: Direction = (before, after) =>
  Number(after) > Number(before)
    ? { effect: 'opens', why: 'the limit is higher' }
    : { effect: 'closes', why: 'the limit is lower' };

/** Methods that come later are served by `*`, groups and block-lists only up to the release. */
export const release: Direction = (before, after) => {
  const later =
    typeof after !== 'string' || (typeof before === 'string' && compareReleases(after, before) > 0);
  return later
    ? { effect: 'opens', why: 'methods of later releases are served too, where the lists cover them' }
    : { effect: 'closes', why: 'methods that came later are not served' };
};

/** It cannot be told, and what is not known to close counts as opening. */
export const unknown: Direction = () => ({
  effect: 'opens',
  why: 'which of the two is wider cannot be told, so it counts as opening',
});

/** A setting that opens the guest: its default is closed, all else is open. */
export function guestOpening(row: SettingRow): Direction {
  return (before, after) => {
    if (after === row.default) return { effect: 'closes', why: 'the guest is closed there again' };
    if (before === row.default) return { effect: 'opens', why: 'it opens the guest' };
    return unknown(before, after);
  };
}

/** A list of what containers may have of the guest: an entry more opens, an entry less closes. */
export const entries: Direction = (before, after) => {
  const was = Array.isArray(before) ? before : [];
  const is = Array.isArray(after) ? after : [];
  const added = is.filter((entry) => !was.includes(entry));
  return added.length > 0
    ? { effect: 'opens', why: `containers may have ${added.join(', ')} of the guest` }
    : { effect: 'closes', why: 'containers may have less of the guest' };
};
