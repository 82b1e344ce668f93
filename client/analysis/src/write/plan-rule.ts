import { type Entry, type FactName, originKey, type ValueForm } from '@kata-agent/workloads';
import type { Ask, OwnValues, PlannedForm, PlannedRule } from './plan.js';
import { facts } from './fact-rules.js';
import type { Wanted } from './reasons.js';

/** A planned rule of one fact, or why there is none. */
export type RulePart = Pick<PlannedRule, 'values' | 'forms' | 'own'> | { readonly why: readonly string[] };

/** Returns the rule of one fact for the asks of one method. Undefined: no ask has this fact. */
export function planRule(fact: FactName, asks: readonly Ask[]): RulePart | undefined {
  const silent = asks.filter((ask) => entriesOf(fact, ask) === undefined);
  if (silent.length === asks.length && silent.every((ask) => !ask.unknown?.has(fact))) return undefined;
  if (silent.length > 0) return { why: unique(silent.map((ask) => whyUnknown(fact, ask))) };
  const all = wantedBy(fact, asks);
  if (facts.get(fact)?.expression === undefined)
    return all.size > 0 ? undefined : { values: [], forms: [], own: [] };
  const tiers =
    facts.get(fact)?.ofAllContainers !== undefined ? allTogether(all) : byContainer(fact, asks, all);
  return { ...tiers, forms: formsOf(fact, asks) };
}

type Tiers = Pick<PlannedRule, 'values' | 'own'>;
type WantedByKey = ReadonlyMap<string, Wanted<Entry>>;

function allTogether(all: WantedByKey): Tiers {
  return { values: [...all.values()], own: [] };
}

/**
 * Groups values: those of all containers, those of all except the pause container, which has fewest, and those of
 * single containers. Containers are identified by name, which the host sets; but a container with a name must match
 * that container in everything, since each rule tests the name.
 */
function byContainer(fact: FactName, asks: readonly Ask[], all: WantedByKey): Tiers {
  const names = new Set(asks.map(({ container }) => container));
  if (names.has(undefined) || names.size < 2) return allTogether(all);
  const lists = new Map(
    [...names].map((name) => [
      name,
      wantedBy(
        fact,
        asks.filter((ask) => ask.container === name),
      ),
    ]),
  );
  const withPause = [...lists.values()];
  const others = [...lists].flatMap(([name, list]) => (name === '' ? [] : [list]));
  const inAll = (key: string, of: readonly WantedByKey[]): boolean => of.every((list) => list.has(key));
  const shared = [...all].filter(([key]) => inAll(key, withPause));
  const sharedByOthers =
    others.length === withPause.length || others.length < 2
      ? []
      : [...all].filter(([key]) => inAll(key, others) && !inAll(key, withPause));
  const own: OwnValues[] = [...lists].flatMap(([name = '', list]) => {
    const values = [...list].filter(
      ([key]) => !inAll(key, withPause) && (name === '' || !sharedByOthers.some(([other]) => other === key)),
    );
    return values.length === 0 ? [] : [{ container: { name }, values: values.map(([, wanted]) => wanted) }];
  });
  const forOthers: readonly OwnValues[] =
    sharedByOthers.length === 0
      ? []
      : [{ container: 'others', values: sharedByOthers.map(([, wanted]) => wanted) }];
  return { values: shared.map(([, wanted]) => wanted), own: [...forOthers, ...own] };
}

function wantedBy(fact: FactName, asks: readonly Ask[]): WantedByKey {
  const wanted = new Map<string, Wanted<Entry>>();
  for (const ask of asks) {
    for (const value of entriesOf(fact, ask) ?? []) {
      const key = originKey(fact, value);
      const origin = ask.origins?.get(key);
      const because = [
        ...(wanted.get(key)?.because ?? []),
        ...(origin === undefined ? ask.because : [origin]),
      ];
      wanted.set(key, { value, because: unique(because) });
    }
  }
  return wanted;
}

function entriesOf(fact: FactName, ask: Ask): readonly Entry[] | undefined {
  if (ask.unknown?.has(fact) === true) return undefined;
  if (ask.values !== undefined) return ask.values.get(fact);
  return ask.facts === undefined ? undefined : facts.get(fact)?.read?.(ask.facts);
}

function whyUnknown(fact: FactName, ask: Ask): string {
  return ask.unknown?.get(fact) ?? `unknown for ${ask.because.join(', ')}`;
}

/** Each condition applies to the containers that have it, and to no other. */
function formsOf(fact: FactName, asks: readonly Ask[]): readonly PlannedForm[] {
  const names = new Set(asks.map(({ container }) => container));
  const groups = new Map<
    string,
    { readonly form: ValueForm; readonly asks: Ask[]; readonly because: string[] }
  >();
  for (const ask of asks) {
    for (const form of ask.forms?.get(fact) ?? []) {
      const key = JSON.stringify([form.condition ?? '', form.names?.source ?? '']);
      const group = groups.get(key) ?? { form, asks: [], because: [] };
      group.asks.push(ask);
      group.because.push(form.because);
      groups.set(key, group);
    }
  }
  return [...groups.values()].map(({ form, asks: having, because }) => ({
    ...(form.condition === undefined ? {} : { condition: form.condition }),
    containers:
      facts.get(fact)?.ofAllContainers === 'gone'
        ? 'all'
        : containersOf(names, new Set(having.map(({ container }) => container))),
    except: form.names === undefined ? [] : ownNames(fact, having, form.names),
    because: unique(because),
  }));
}

function containersOf(
  all: ReadonlySet<string | undefined>,
  having: ReadonlySet<string | undefined>,
): PlannedForm['containers'] {
  if (having.size === all.size || having.has(undefined)) return 'all';
  if (having.size === all.size - 1 && all.has('') && !having.has('')) return 'others';
  return [...having].map((name = '') => name);
}

/** Returns the variables among `names` that a container has with a value or a condition of its own. */
function ownNames(fact: FactName, asks: readonly Ask[], names: RegExp): PlannedForm['except'] {
  const found = new Map<string, readonly [string, string]>();
  for (const { container = '', values, forms } of asks) {
    const listed = (values?.get(fact) ?? []).map((entry) => String(entry).split('=')[0] ?? '');
    const formed = (forms?.get(fact) ?? []).flatMap(({ variable }) => variable ?? []);
    for (const name of [...listed, ...formed])
      if (names.test(name)) found.set(`${container} ${name}`, [container, name]);
  }
  return [...found.values()];
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)];
}
