import { methodNames } from '@kata-agent/catalogue';
import { parseApiFragment, renderDiagnostic } from '@kata-agent/config';
import { compileGate } from '@kata-agent/gate';
import { createRuleChecker } from '@kata-agent/gate/rules';

import { mutateText } from '../mutate.js';
import type { Random } from '../random.js';
import type { Target } from '../target.js';

const base = compileGate(
  { api: { documents: [], strict: false, onDeniedRead: 'error', deniedOutput: 'discard' } },
  { listeners: ['default'] },
);
const words = [
  ...methodNames.map((name) => `default ${name}Request := true`),
  ...'default := = true false { } # [api]'.split(' '),
  'default ReadStreamRequest := true',
  'package agent_policy',
  'import future.keywords',
  'allowed_endpoints = ["*"]',
  'release = "3.0"',
  '[[api.rule]]\nname = "r"\nendpoints = ["ExecProcess"]\nexpression = "!terminal"',
];
const checker = createRuleChecker();
const rules = async () => checker;

/** SetPolicy texts: lists of Rego defaults, TOML fragments, and both with changes in a few places. */
export const policy: Target = {
  name: 'policy',
  promise: 'a policy is applied or rejected with a reason, and never makes the gate serve more',
  async run(random) {
    const text = policyText(random);
    const parsed = await parseApiFragment(text, 'SetPolicy', { rules });
    if (!parsed.ok) {
      if (parsed.diagnostics.length === 0) throw new Error('rejected without a reason');
      for (const diagnostic of parsed.diagnostics) renderDiagnostic(diagnostic);
      return;
    }
    const narrow = base.tighten({
      file: 'narrow',
      allowed: new Map([['WaitProcess', entry()]]),
      rules: [],
      listeners: new Map(),
    });
    const tightened = narrow.tighten(parsed.document).served('default');
    if (tightened.some((method) => method !== 'WaitProcess')) throw new Error(`${tightened.join()} served`);
    for (const method of base.tighten(parsed.document).served('default')) {
      if (parsed.document.allowed !== undefined && !parsed.document.allowed.has(method)) {
        throw new Error(`${method} is served, and the policy does not allow it`);
      }
    }
  },
};

function entry(): {
  readonly entry: string;
  readonly span: { file: string; line: number; column: number; endColumn: number };
} {
  return { entry: 'WaitProcess', span: { file: 'narrow', line: 1, column: 1, endColumn: 12 } };
}

function policyText(random: Random): string {
  const lines = random.once(4)
    ? ['[api]', `allowed_endpoints = ["${random.pick([...methodNames, '*', '@pod'])}"]`]
    : ['package agent_policy', ...Array.from({ length: random.below(10) }, () => defaultLine(random))];
  const text = lines.join('\n');
  return random.once(2) ? mutateText(random, text, words) : text;
}

function defaultLine(random: Random): string {
  return `default ${random.pick(methodNames)}Request ${random.pick([':=', '='])} ${random.pick(['true', 'false'])}`;
}
