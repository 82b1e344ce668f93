import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DescMessage, fromJson } from '@bufbuild/protobuf';
import { type MethodName, methodNames } from '@kata-agent/catalogue';
import type { Decision, RuleContext } from '@kata-agent/gate';
import { compileRules, createRuleChecker, ruleFunctions, ruleNames } from '@kata-agent/gate/rules';
import type { ExampleCall } from './rule-examples.js';
import { ruleExamples } from './rule-examples.js';
import { innerMessages, requests, rulesPage } from './rules-page.js';

const page = rulesPage();
const checker = createRuleChecker();
const span = { file: 'rules.md', line: 1, column: 1, endColumn: 2 };

/** Evaluates a rule with only this expression against a call. */
function decide(method: MethodName, expression: string, call: ExampleCall): Decision {
  const message = requests.get(method) ?? assert.fail(method);
  const book = compileRules([
    {
      name: 'example',
      methods: new Map([[method, { entry: method, span }]]),
      expression,
      enforcement: 'enforce',
      span,
    },
  ]);
  const allowed: Decision = { outcome: 'allow', method, listener: 'server_addr', reason: 'listed' };
  return book.decide(allowed, fromJson(message, call.request ?? {}), contextOf(call, message));
}

function contextOf(call: ExampleCall, message: DescMessage): RuleContext {
  const names = message.fields.some(({ name }) => name === 'container_id');
  const container = {
    id: call.container?.id ?? '',
    state: call.container?.state ?? 'running',
    claimed: { image: call.container?.image ?? '', annotations: {} },
  } as const;
  return {
    listener: call.listener ?? 'server_addr',
    peer: { kind: 'vsock', cid: call.cid ?? 2 },
    sandbox: { id: 'pod1', containers: call.containers ?? [] },
    ...(names ? { container } : {}),
  };
}

for (const method of methodNames) {
  test(`the example for ${method} loads, allows one call and denies the other`, () => {
    const { expression, passes, refused, description } = ruleExamples[method];
    assert.deepEqual(checker.check({ expression, methods: [method] }).faults, []);
    assert.equal(decide(method, expression, passes).outcome, 'allow');
    const refusal = decide(method, expression, refused);
    assert.equal(refusal.outcome, 'deny');
    assert.equal(refusal.rule, 'example');
    assert.doesNotMatch(refusal.reason, /could not/, 'the rule is false, without an evaluation error');
    assert.match(description, /^[A-Z].*\.$/);
    // If the request has fields, the example uses them.
    if ((requests.get(method)?.fields.length ?? 0) > 0)
      assert.notEqual(decide(method, `!(${expression})`, passes).outcome, 'allow');
  });
}

test('examples of names are valid for each of their methods', () => {
  for (const { name, example, methods } of ruleNames)
    assert.deepEqual(checker.check({ expression: example, methods }).faults, [], name);
});

test('every method, name, function and message is documented with all its fields', () => {
  for (const [name, message] of requests) {
    const text = page.split(`\n### ${name}\n`)[1]?.split('\n### ')[0] ?? '';
    for (const field of message.fields)
      assert.ok(text.includes(`| \`${field.name}\` | `), `${name}.${field.name}`);
    assert.ok(text.includes(ruleExamples[name as MethodName].expression), name);
  }
  for (const message of innerMessages()) {
    const text = page.split(`\n### ${message.name}\n`)[1]?.split('\n### ')[0] ?? '';
    for (const field of message.fields) assert.ok(text.includes(`| \`${field.name}\` | `), field.name);
  }
  for (const { name } of ruleNames) assert.ok(page.includes(`| \`${name}\` | `), name);
  for (const { form } of ruleFunctions) assert.ok(page.includes(form.split(', ')[0] ?? ''), form);
});

test('each message is documented once, and every link resolves', () => {
  const anchors = [...page.matchAll(/^#{2,3} (.+)$/gm)].map(([, heading]) =>
    (heading ?? '').toLowerCase().replaceAll(' ', '-'),
  );
  assert.equal(new Set(anchors).size, anchors.length);
  for (const [, anchor] of page.matchAll(/\]\(#([^)]+)\)/g))
    assert.ok(anchors.includes(anchor ?? ''), anchor);
});
