import type { Configuration } from '@kata-agent/config';
import type { RuleBook } from '@kata-agent/gate/rules';

/** The rules of a configuration, ready for use; undefined when it has none, so that CEL is loaded only for some. */
export async function ruleBookOf({ api }: Configuration): Promise<RuleBook | undefined> {
  const rules = api.documents.flatMap((document) => document.rules);
  if (rules.length === 0) return undefined;
  const { compileRules } = await import('@kata-agent/gate/rules');
  return compileRules(rules);
}
