import type { Effective } from './configuration.js';
import type { Setting } from './settings/setting.js';

/** The values of one section under the names that the code uses, from the decided rows of the settings table. */
export function sectionValues<S extends object>(
  rows: { readonly [P in keyof S]: Setting<S[P]> },
  values: readonly Effective[],
): S {
  const named = Object.entries<Setting<unknown>>(rows).map(([property, row]) => {
    const effective = values.find(({ section, key }) => section === row.section && key === row.key);
    return [property, effective === undefined ? row.default : effective.value] as const;
  });
  // Each value was read by its row's own type, or is its default.
  return Object.fromEntries(named) as S;
}
