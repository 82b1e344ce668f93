import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MethodName } from '@kata-agent/catalogue';
import { check, fault } from './rules.test.fixture.js';
import { ruleLimits } from './language/limits.js';

const exec: readonly MethodName[] = ['ExecProcess'];

/** Each wrong expression with the words that are blamed, and what is said. */
const wrong: readonly (readonly [string, readonly MethodName[], string])[] = [
  ['true || request.nope', exec, '"nope": ExecProcessRequest has no field "nope"'],
  ['request.exec_id == 5', exec, '"request.exec_id == 5": a string is never equal to an int (write "5")'],
];

test('mistakes are found when the rule is loaded, at their place', () => {
  for (const [expression, methods, expected] of wrong) {
    const found = fault(expression, ...methods);
    assert.ok(found.startsWith(expected), `${expression}\n  ${found}`);
  }
});

test('the sample of the documentation is right', () => {
  assert.deepEqual(check('args[0] in ["/bin/healthcheck"] && !terminal', 'ExecProcess'), []);
  assert.ok(ruleLimits.steps > 0);
});
