import type { Configuration } from '@kata-agent/config';
import type { RuleBook } from '@kata-agent/gate/rules';

/** Returns the compiled rules of a configuration, or undefined if it has none: CEL is then not loaded. */
export async function ruleBookOf({ api }: Configuration): Promise<RuleBook | undefined> {
  const rules = api.documents.flatMap((document) => document.rules);
  if (rules.length === 0) return undefined;
  const { compileRules } = await import('@kata-agent/gate/rules');
  return compileRules(rules);
}
