import type { Effective } from '../configuration.js';
import type { Setting } from './setting.js';

/** Returns the values of one section under their names in code. */
export function sectionValues<S extends object>(
  rows: { readonly [P in keyof S]: Setting<S[P]> },
  values: readonly Effective[],
): S {
  const named = Object.entries<Setting<unknown>>(rows).map(([property, row]) => {
    const effective = values.find(({ section, key }) => section === row.section && key === row.key);
    return [property, effective === undefined ? row.default : effective.value] as const;
  });
  // Each value was parsed by its row's type, or is its default.
  return Object.fromEntries(named) as S;
}
