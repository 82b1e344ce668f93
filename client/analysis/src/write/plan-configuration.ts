import { inconsistencies, methodNames, type Release, releases } from '@kata-agent/catalogue';
import type { Ask, ExtraRule, ListPart, Plan, PlannedRule, Unconstrained } from './plan.js';
import { facts } from './fact-rules.js';
import type { Wanted } from './reasons.js';
import { noPlannedAccess, type PlannedAccess } from './planned-access.js';
import type { PlannedAliases, PlannedSecret } from './planned-settings.js';
import { planRule } from './plan-rule.js';
import { longestExpression, ruleExpression, valuesIn } from './rule-expression.js';

/** The input of a configuration besides the asks. */
export interface PlanOptions {
  /** Default: the newest in the catalogue. */
  readonly release?: Release;
  /** Default: only what every container has. */
  readonly access?: PlannedAccess;
  /** Names of hosts files. Default: none. */
  readonly aliases?: PlannedAliases;
  /** Default: none. */
  readonly secrets?: readonly PlannedSecret[];
  /** Repositories of images that the built-in puller may pull. Default: no such section. */
  readonly registries?: readonly string[];
  /** Rules that are not lists; those of methods without an ask are omitted. */
  readonly extra?: readonly ExtraRule[];
}

/**
 * Plans the smallest configuration that allows all asks. A method with an ask is allowed; a fact that every ask of a
 * method has becomes a rule with exactly the asked values. Pure.
 */
export function planConfiguration(asks: readonly Ask[], options: PlanOptions = {}): Plan {
  const endpoints: Wanted<PlannedRule['method']>[] = [];
  const rules: PlannedRule[] = [];
  const unconstrained: Unconstrained[] = [];
  const tooLong: Unconstrained[] = [];
  for (const method of methodNames) {
    const own = asks.filter((ask) => ask.method === method);
    if (own.length === 0) continue;
    endpoints.push({ value: method, because: [...new Set(own.flatMap((ask) => ask.because))] });
    for (const [fact, { name }] of facts) {
      const planned = planRule(fact, own);
      if (planned === undefined) continue;
      if ('why' in planned) unconstrained.push({ fact, name, method, why: planned.why });
      else
        for (const rule of splitRule({ fact, method, ...planned })) {
          const why = faultOf(rule);
          if (why === undefined) rules.push(rule);
          else tooLong.push({ fact, name, method, why: [why] });
        }
    }
  }
  const release = options.release ?? releases[releases.length - 1] ?? '4.1.0';
  const inconsistentSeverity = inconsistencies(endpoints.map(({ value }) => value)).map(
    ({ message }) => message,
  );
  const served = new Set(endpoints.map(({ value }) => value));
  const extra = (options.extra ?? []).filter(({ method }) => served.has(method));
  for (const { method, name, expression } of extra) {
    if (expression.length <= longestExpression) continue;
    tooLong.push({
      name,
      method,
      why: [`a rule of ${expression.length} characters is too long: ${longestExpression} are allowed`],
    });
  }
  const access = options.access ?? noPlannedAccess;
  const { registries, aliases = new Map(), secrets = [] } = options;
  return {
    release,
    access,
    aliases,
    secrets,
    registries,
    endpoints,
    inconsistentSeverity,
    rules,
    extra,
    unconstrained,
    open: [],
    tooLong,
  };
}

/** Returns why the loader would reject the rule. */
function faultOf(rule: PlannedRule): string | undefined {
  const { length } = ruleExpression(rule);
  return length <= longestExpression
    ? undefined
    : `a list of ${valuesIn(rule)} value(s) is too long for one rule: ${length} characters, ${longestExpression} are allowed`;
}

/**
 * Splits a rule into parts that each can be loaded: a part covers a range of keys, such as names of variables, and lets
 * others pass. Returns the rule itself if it is short enough or has no key; a part can still be too long if a single
 * value is.
 */
function splitRule(rule: PlannedRule): readonly PlannedRule[] {
  const key = facts.get(rule.fact)?.key;
  if (fits(rule) || key === undefined) return [rule];
  const entries = [...rule.values, ...rule.own.flatMap(({ values }) => values)];
  const excepted = rule.forms.flatMap(({ except }) => except.map(([, name]) => name));
  const keys = [...new Set([...entries.map(({ value }) => key.of(value)), ...excepted])].sort();
  return halves(rule, keys, {}).map((part, index) => ({
    ...part,
    part: { ...part.part, number: index + 1 },
  }));
}

type Range = Omit<ListPart, 'number'>;

function halves(rule: PlannedRule, keys: readonly string[], range: Range): readonly PlannedRule[] {
  const part = within(rule, new Set(keys), range);
  const middle = keys[Math.floor(keys.length / 2)];
  if (fits(part) || keys.length < 2 || middle === undefined) return [part];
  const at = Math.floor(keys.length / 2);
  return [
    ...halves(rule, keys.slice(0, at), { ...range, below: middle }),
    ...halves(rule, keys.slice(at), { ...range, from: middle }),
  ];
}

function within(rule: PlannedRule, keys: ReadonlySet<string>, range: Range): PlannedRule {
  const key = facts.get(rule.fact)?.key;
  const of = (values: PlannedRule['values']): PlannedRule['values'] =>
    values.filter(({ value }) => key !== undefined && keys.has(key.of(value)));
  // A variable outside the range passes this part anyway.
  const forms = rule.forms.map((form) => ({
    ...form,
    except: form.except.filter(([, name]) => keys.has(name)),
  }));
  const own = rule.own
    .map(({ container, values }) => ({ container, values: of(values) }))
    .filter(({ values }) => values.length > 0);
  return { ...rule, values: of(rule.values), forms, own, part: { number: 1, ...range } };
}

function fits(rule: PlannedRule): boolean {
  return ruleExpression(rule).length <= longestExpression;
}
