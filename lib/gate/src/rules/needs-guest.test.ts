import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MethodName, methodNames } from '@kata-agent/catalogue';
import { ruleNames } from './names/rule-names.js';
import { createRuleChecker } from './compile/compile-rule.js';

function uses(expression: string, ...methods: readonly MethodName[]): readonly string[] {
  const { faults, needsGuest } = createRuleChecker().check({ expression, methods });
  assert.deepEqual(faults, []);
  return needsGuest.map(({ start, end }) => expression.slice(start, end));
}

test('every name and field that is state of the guest is found where it is used', () => {
  for (const name of ruleNames) {
    for (const method of name.methods) {
      const type = name.typeFor(method);
      const found = uses(`[${name.name}].size() == 1`, method);
      const ofGuest = name.ofGuest?.includes(method) === true;
      assert.deepEqual(found, ofGuest ? [name.name] : [], `${name.name} of ${method}`);
      if (type.kind !== 'record') continue;
      for (const [field, { ofGuest: always }] of type.fields) {
        const expected = ofGuest ? [name.name] : always?.includes(method) === true ? [field] : [];
        const expression = `[${name.name}.${field}].size() == 1`;
        assert.deepEqual(uses(expression, method), expected, `${expression} of ${method}`);
      }
    }
  }
});

test('what the agent knows of containers is state of the guest, and what the request says is not', () => {
  assert.deepEqual(uses('sandbox.containers.size() < 3', 'StartContainer'), ['sandbox']);
  assert.deepEqual(uses('container.id != "x" && container.state == "running"', 'ExecProcess'), ['state']);
  assert.deepEqual(uses('has(container.claimed)', 'ExecProcess'), ['claimed']);
  assert.deepEqual(uses('container.claimed.image != ""', 'CreateContainer', 'StartContainer'), ['claimed']);
  assert.deepEqual(uses('container.claimed.image != "" && mounts.size() < 9', 'CreateContainer'), []);
  assert.deepEqual(uses('capabilities.size() == 0', 'CreateContainer'), []);
  assert.deepEqual(uses('capabilities.size() == 0', 'ExecProcess'), ['capabilities']);
  assert.deepEqual(uses('peer.kind == "unix" && listener == "host"', ...methodNames), []);
});

test('uses inside of loops, conditions and has() are found', () => {
  assert.deepEqual(uses('args.all(arg, arg != sandbox.id)', 'ExecProcess'), ['sandbox']);
  assert.deepEqual(uses('terminal ? container.state == "running" : true', 'ExecProcess'), ['state']);
  assert.deepEqual(
    uses('sandbox.members.exists(one, has(one.exit_code) && one.exit_code == 0)', 'CreateContainer'),
    ['sandbox'],
  );
});
