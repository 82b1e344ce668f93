import { type ProfileRule, profiles } from '@kata-agent/catalogue/profiles';
import type { ExtraRule } from '../write/plan.js';

const rules: readonly ProfileRule[] = [...profiles.values()].flatMap((profile) =>
  profile.rules.filter(({ expression }) => !expression.includes('values.')),
);

/**
 * Returns the rules of these names that are the same for every pod: those of the profiles.
 *
 * @throws RangeError if no profile has one
 */
export function everyPod(...names: readonly string[]): readonly ExtraRule[] {
  return names.flatMap((name) => {
    const found = new Map(rules.filter((rule) => rule.name === name).map((rule) => [rule.method, rule]));
    if (found.size === 0) throw new RangeError(`no profile has a rule ${name}`);
    return [...found.values()].map(({ method, description, expression, message }) => ({
      method,
      name,
      // One that ends with a field of the pod is for pods without it.
      description: description.endsWith('.') ? `${description} Every pod.` : description,
      expression,
      message,
    }));
  });
}
