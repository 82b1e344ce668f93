import type { Message } from '@bufbuild/protobuf';
import { allow, type Decision, type MethodName } from '@kata-agent/catalogue';
import type { Rule, RuleFault } from '@kata-agent/config';
import type { RuleContext } from '../rule-context.js';
import { compileRules } from './rule-book.js';
import { createRuleChecker } from './compile/compile-rule.js';

/** A rule as passed on by `config`. */
export function rule(expression: string, methods: readonly MethodName[], more: Partial<Rule> = {}): Rule {
  const span = { file: 'config.toml', line: 7, column: 8, endColumn: 12 };
  return {
    name: 'r',
    methods: new Map(methods.map((method) => [method, { entry: method, span }])),
    expression,
    enforcement: 'enforce',
    span,
    ...more,
  };
}

/** A call of the host over vsock in a pod with one container. */
export const context: RuleContext = {
  listener: 'host',
  peer: { kind: 'vsock', cid: 2 },
  container: {
    id: 'c1',
    state: 'running',
    claimed: { image: 'docker.io/library/nginx:1.27', annotations: { tier: 'web' } },
  },
  sandbox: { id: 'pod', containers: ['c1'] },
};

export function ask(
  rules: readonly Rule[],
  method: MethodName,
  request: Message,
  at: RuleContext = context,
): Decision {
  return compileRules(rules).decide(allow('host', method, 'in allowed_endpoints'), request, at);
}

export function check(expression: string, ...methods: MethodName[]): readonly RuleFault[] {
  return createRuleChecker().check({ expression, methods }).faults;
}

/** Returns the first fault with the words it marks: `start-end "words": message (help)`. */
export function fault(expression: string, ...methods: MethodName[]): string {
  const [first] = check(expression, ...methods);
  if (first === undefined) return 'none';
  const { start, end, message, help } = first;
  return `${JSON.stringify(expression.slice(start, end))}: ${message}${help === undefined ? '' : ` (${help})`}`;
}
