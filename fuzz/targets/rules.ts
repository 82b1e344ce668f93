import { methodNames, type MethodName } from '@kata-agent/catalogue';
import type { RuleFault } from '@kata-agent/config';
import type { Decision, RuleContext } from '@kata-agent/gate';
import { compileRules, createRuleChecker, ruleFunctions, ruleNames } from '@kata-agent/gate/rules';
import { AgentService } from '@kata-agent/protocol/agent';

import { mutateText } from '../mutate.js';
import type { Random } from '../random.js';
import { randomMessage } from '../random-message.js';
import type { Target } from '../target.js';

const descriptors = new Map(AgentService.methods.map(({ name, input }) => [name, input]));
const words = [
  ...ruleNames.map(({ name }) => name),
  ...ruleFunctions.map(({ form }) => form),
  'request.process.User.UID',
  'request.OCI.Linux.Resources.Memory.Limit',
  'request.OCI.Annotations',
  'has(request.process)',
  '.all(x, x == "a")',
  '.exists(x, x)',
  '.map(x, [x])',
  '.filter(x, true)',
  '.matches("^a+$")',
  ...'&& || ! == != < <= in + - * / % ? : [ ] ( ) { } , . [0] [-1] 0 1u 9223372036854775807 -9223372036854775808'.split(
    ' ',
  ),
  ...'"" "a" b"a" r"\\d" true false null __proto__ constructor toString 1.5 // \\u0000 """'.split(' '),
];

/** Expressions with changes in a few places, evaluated on requests with random fields. */
export const rules: Target = {
  name: 'rules',
  promise: 'an expression is compiled or rejected with reasons, and a compiled one never fails internally',
  run(random) {
    const methods = methodsOf(random);
    const expression = expressionText(random, methods);
    const { faults } = createRuleChecker().check({ expression, methods });
    for (const fault of faults) checkFault(fault, expression);
    if (faults.length > 0) return undefined;
    const span = { file: 'f', line: 1, column: 1, endColumn: 2 };
    const book = compileRules([
      {
        name: 'r',
        methods: new Map(methods.map((method) => [method, { entry: method, span }])),
        expression,
        enforcement: 'enforce',
        span,
      },
    ]);
    for (const method of methods)
      ask(random, method, (allowed, message) => book.decide(allowed, message, contextOf(random)));
    return undefined;
  },
};

function ask(
  random: Random,
  method: MethodName,
  decide: (allowed: Decision, message: ReturnType<typeof randomMessage>) => Decision,
): void {
  const descriptor = descriptors.get(method);
  if (descriptor === undefined) throw new Error(`no descriptor of ${method}`);
  const allowed: Decision = { outcome: 'allow', listener: 'default', method, reason: 'listed' };
  const { outcome, reason, rule } = decide(allowed, randomMessage(random, descriptor));
  if (reason.includes('failed inside') || reason.includes('neither true nor false'))
    throw new Error(`${method}: ${reason}`);
  if (outcome === 'deny' && rule !== 'r') throw new Error('denied without naming a rule');
}

function checkFault({ start, end, message, help }: RuleFault, expression: string): void {
  if (message === '') throw new Error('an error without a message');
  if (/[\x00-\x1f\x7f]/.test(`${message}${help ?? ''}`))
    throw new Error(`a control character in ${JSON.stringify(message)}`);
  if (start < 0 || end < start || end > expression.length)
    throw new Error(`"${message}" is at ${start} to ${end} of ${expression.length} characters`);
}

function methodsOf(random: Random): MethodName[] {
  const some = new Set<MethodName>([
    random.pick(['CreateContainer', 'ExecProcess', 'CopyFile', ...methodNames]),
  ]);
  if (random.once(3)) some.add(random.pick(methodNames));
  return [...some];
}

function expressionText(random: Random, methods: readonly MethodName[]): string {
  if (random.once(4)) return Array.from({ length: 1 + random.below(8) }, () => random.pick(words)).join(' ');
  const known = ruleNames.filter((name) => methods.every((method) => name.methods.includes(method)));
  const condition = (depth: number): string => {
    const example = `(${random.pick(known).example})`;
    if (depth === 0) return example;
    const other = condition(depth - 1);
    switch (random.below(5)) {
      case 0:
        return `(${example} && ${other})`;
      case 1:
        return `(${other} || ${example})`;
      case 2:
        return `!${other}`;
      case 3:
        return `(${other} ? ${example} : ${condition(0)})`;
      default:
        return `[1, ${random.below(9)}].${random.pick(['all', 'exists', 'exists_one'])}(n${depth}, n${depth} > 1 || ${other})`;
    }
  };
  const text = condition(random.below(5));
  return random.once(3) ? text : mutateText(random, text, words);
}

function contextOf(random: Random): RuleContext {
  const container = {
    id: random.pick(['c1', '']),
    state: random.pick(['none', 'running'] as const),
    claimed: { image: random.pick(['', 'nginx']), annotations: random.once(2) ? { a: 'b' } : {} },
  };
  return {
    listener: 'default',
    peer: random.once(2) ? { kind: 'vsock', cid: random.below(4) } : { kind: 'unix', uid: 0 },
    ...(random.once(8) ? {} : { container }),
    sandbox: { id: 's', containers: random.once(2) ? ['c1'] : [] },
  };
}
