import type { Constant } from '@kata-agent/catalogue/profiles';
import type { Configuration, RuleValues } from '@kata-agent/config';
import type { Difference } from './difference.js';

/** Returns differences of the values that rules of profiles read: whether a rule gets wider by one cannot be determined in general. */
export function valueDifferences(before: Configuration, after: Configuration): readonly Difference[] {
  const [old, now] = [valuesOf(before), valuesOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((name): readonly Difference[] => {
    const [was, is] = [old.get(name), now.get(name)];
    if (was === is) return [];
    return [
      {
        effect: is === undefined ? 'closes' : 'opens',
        about: 'value',
        name,
        ...(was === undefined ? {} : { before: was }),
        ...(is === undefined ? {} : { after: is }),
        why:
          is === undefined
            ? 'the rules of the profile have it no longer'
            : 'what the rules of the profile allow with it is wider, or may be',
      },
    ];
  });
}

/** All values as text, by name: `values.container[app].args`. */
function valuesOf({ api }: Configuration): ReadonlyMap<string, string> {
  const each = new Set(api.documents.flatMap(({ rules }) => rules.flatMap(({ values }) => values ?? [])));
  return new Map([...each].flatMap(({ value }) => entriesOf('values', value)));
}

function entriesOf(name: string, values: RuleValues['value']): readonly (readonly [string, string])[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const place = `${name}.${key}`;
    if (!isTables(value)) return [[place, text(value)] as const];
    return value.flatMap((table, index) => {
      const named = table['name'] ?? table['to'];
      return entriesOf(`${place}[${typeof named === 'string' ? named : index}]`, table);
    });
  });
}

function isTables(value: Constant): value is readonly RuleValues['value'][] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((each) => typeof each === 'object' && !Array.isArray(each))
  );
}

function text(value: Constant): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? Number(each) : each));
}
