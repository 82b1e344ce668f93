import { parseApiFragment, renderDiagnostic } from '@kata-agent/config';
import type { RuleBook } from '@kata-agent/gate/rules';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Policy } from '../policy.js';
import { loadRules, ruleChecker } from '../rules.js';
import type { Handler } from './handler.js';

/** SetPolicy can only narrow what is served (S4). Output that nobody may read any more is drained from now on (R15). */
export const setPolicy: Handler<'setPolicy'> = async ({ guest, policy }, request) => {
  const refused = await tighten(policy, request.policy);
  if (refused !== undefined) throw new TtrpcError(Code.InvalidArgument, refused);
  guest.reconsiderOutput();
  return {};
};

/**
 * Narrows a policy by a text: a TOML `[api]` fragment or a plain list of Rego defaults. Returns what is wrong with the
 * text, and changes nothing then.
 */
async function tighten(policy: Policy, text: string): Promise<string | undefined> {
  const fragment = await parseApiFragment(text, 'SetPolicy', { rules: ruleChecker });
  if (!fragment.ok) return fragment.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n');
  const { document } = fragment;
  const without = (book: RuleBook): RuleBook => book;
  const extend = document.rules.length === 0 ? without : (await loadRules()).extendRules;
  return policy.narrow(document, extend);
}
