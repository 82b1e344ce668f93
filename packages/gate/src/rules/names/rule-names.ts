import type { MethodName } from '@kata-agent/catalogue';
import { callNames } from './call-names.js';
import type { RuleName } from './rule-name.js';
import { shorthands } from './shorthands.js';

/** Every name that a rule can use, with what it means. The reference page is made from it. */
export const ruleNames: readonly RuleName[] = [...callNames, ...shorthands];

/** The names of one method. */
export function namesFor(method: MethodName): ReadonlyMap<string, RuleName> {
  return new Map(
    ruleNames.filter(({ methods }) => methods.includes(method)).map((name) => [name.name, name]),
  );
}
