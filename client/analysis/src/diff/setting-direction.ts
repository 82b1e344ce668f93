import { compareReleases } from '@kata-agent/catalogue';
import type { SettingRow, SettingValue } from '@kata-agent/config';
import type { Effect } from './difference.js';

/** The effect of a changed setting, and the reason. */
interface DirectedEffect {
  readonly effect: Effect;
  readonly why: string;
}

/** Returns the effect of a change; the values differ. */
export type Direction = (before: SettingValue, after: SettingValue) => DirectedEffect;

/** A setting that opens and closes nothing; `why` is its purpose. */
export function neutral(why: string): Direction {
  return () => ({ effect: 'changes', why });
}

/** Values from the most closed to the most open. An unlisted value counts as the most open. */
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

/** A larger number allows more. */
export const larger: Direction = (before, after) =>
  Number(after) > Number(before)
    ? { effect: 'opens', why: 'the limit is higher' }
    : { effect: 'closes', why: 'the limit is lower' };

/** An earlier time allows more. Which one the default is, the build decides: it counts as opening. */
export function earlier(opens: string, closes: string): Direction {
  return (before, after) => {
    if (typeof before !== 'number' || typeof after !== 'number') return unknown(before, after);
    return after < before ? { effect: 'opens', why: opens } : { effect: 'closes', why: closes };
  };
}

/** With a `release`, `*`, groups and block-lists include later methods only up to it. */
export const release: Direction = (before, after) => {
  const later =
    typeof after !== 'string' || (typeof before === 'string' && compareReleases(after, before) > 0);
  return later
    ? { effect: 'opens', why: 'methods of later releases are served too, if the lists include them' }
    : { effect: 'closes', why: 'methods of later releases are not served' };
};

/** The effect is unknown, which counts as opening. */
export const unknown: Direction = () => ({
  effect: 'opens',
  why: 'which value is wider is unknown: counts as opening',
});

/** A setting that opens the guest: only its default is closed. */
export function guestOpening(row: SettingRow): Direction {
  return (before, after) => {
    if (after === row.default) return { effect: 'closes', why: 'the setting no longer opens the guest' };
    if (before === row.default) return { effect: 'opens', why: 'it opens the guest' };
    return unknown(before, after);
  };
}

/** A list of what containers can access in the guest: an added entry opens, a removed entry closes. */
export const entries: Direction = (before, after) => {
  const was = Array.isArray(before) ? before : [];
  const is = Array.isArray(after) ? after : [];
  const added = is.filter((entry) => !was.includes(entry));
  return added.length > 0
    ? { effect: 'opens', why: `containers can access ${added.join(', ')} of the guest` }
    : { effect: 'closes', why: 'containers can access less of the guest' };
};

/** A list of mounts that are kept from the host: a removed entry opens, an added one closes. */
export function keptFromHost(opens: string, closes: string): Direction {
  return (before, after) => {
    const is = Array.isArray(after) ? after : [];
    const removed = (Array.isArray(before) ? before : []).filter((entry) => !is.includes(entry));
    return removed.length > 0
      ? { effect: 'opens', why: `${opens} ${removed.join(', ')}` }
      : { effect: 'closes', why: closes };
  };
}

/** Names of hosts files with their addresses: an added pair opens, a removed one closes. */
export const hostNames: Direction = (before, after) => {
  const was = new Set(pairsOf(before));
  const added = pairsOf(after).filter((pair) => !was.has(pair));
  return added.length > 0
    ? { effect: 'opens', why: `hosts files can have ${added.join(', ')}` }
    : { effect: 'closes', why: 'hosts files can have fewer names' };
};

function pairsOf(value: SettingValue): readonly string[] {
  if (typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([name, addresses]) =>
    Array.isArray(addresses) ? addresses.map((address) => `${name.toLowerCase()} = ${String(address)}`) : [],
  );
}
