import { parseApiFragment, renderDiagnostic } from '@kata-agent/config';
import type { RuleBook } from '@kata-agent/gate/rules';
import { loadRules, type Policy, ruleChecker } from './policy.js';

/**
 * Narrows a policy by a text: a TOML `[api]` fragment or a list of Rego defaults. Returns the error in the text, and
 * then changes nothing.
 */
export async function tighten(policy: Policy, text: string): Promise<string | undefined> {
  const fragment = await parseApiFragment(text, 'SetPolicy', { rules: ruleChecker });
  if (!fragment.ok) return fragment.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n');
  const { document } = fragment;
  const unknown = policy.forwards ? document.rules.flatMap(({ needsGuest = [] }) => needsGuest) : [];
  if (unknown.length > 0) return unknown.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n');
  const without = (book: RuleBook): RuleBook => book;
  const extend = document.rules.length === 0 ? without : (await loadRules()).extendRules;
  return policy.narrow(document, extend);
}
