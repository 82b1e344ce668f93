import { type Constant, type ProfileValues, profiles } from '@kata-agent/catalogue/profiles';
import type { Configuration } from '@kata-agent/config';
import type { Difference } from './difference.js';

type Values = { readonly [name: string]: Constant };

/**
 * Returns differences of the values that rules of profiles read. Whether a rule gets wider by one cannot be determined in general, also when
 * it goes: what a container must have is a value as well.
 */
export function valueDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const [old, now] = [valuesOf(before), valuesOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((name): readonly Difference[] => {
    const [was, is] = [old.get(name), now.get(name)];
    if (was === is) return [];
    return [
      {
        effect: 'opens',
        about: 'value',
        name,
        ...(was === undefined ? {} : { before: was }),
        ...(is === undefined ? {} : { after: is }),
        why: 'what the rules of the profile allow, or no longer require, may be wider',
      },
    ];
  });
}

/** All values as text, by name: `values.container["app"].args`. Those of a second document with a profile begin with its file. */
function valuesOf({ api }: Configuration): ReadonlyMap<string, string> {
  const found = api.documents.flatMap(({ file, rules }) => {
    const { profile } = rules.find((rule) => rule.profile !== undefined) ?? {};
    return profile === undefined ? [] : [{ file, ...profile }];
  });
  return new Map(
    found.flatMap(({ file, name, values }, index) =>
      entriesOf(index === 0 ? 'values' : `${file}: values`, values.value, profiles.get(name)?.values ?? {}),
    ),
  );
}

/** @param rows which keys tell tables apart; without one it is their position */
function entriesOf(
  name: string,
  values: Values,
  rows: ProfileValues,
): readonly (readonly [string, string])[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const place = `${name}.${key}`;
    const row = rows[key];
    if (row === undefined || !('tables' in row)) return [[place, text(value)] as const];
    return (value as readonly Values[]).flatMap((table, index) => {
      const which = row.by === undefined ? String(index) : text(table[row.by] ?? '');
      return entriesOf(`${place}[${which}]`, table, row.tables);
    });
  });
}

function text(value: Constant): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? Number(each) : each));
}
