import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CannotApply } from '../cannot-apply.js';
import { SavedPolicies } from './set-policy.js';

const directory = mkdtempSync(join(tmpdir(), 'kept-policies-'));
after(() => rmSync(directory, { recursive: true }));

test('stored policies are available to the next agent of this boot, each text once, in order', () => {
  const file = join(directory, 'state/policies.json');
  const first = SavedPolicies.open(file, 'boot');
  for (const policy of ['a', 'b', 'a']) first.keep(policy);
  assert.deepEqual(SavedPolicies.open(file, 'boot').policies, ['a', 'b']);
  assert.deepEqual(SavedPolicies.open(file, 'another').policies, []);
});

test('an invalid file is fatal', () => {
  const file = join(directory, 'policies.json');
  for (const text of ['', '{', 'null', '[]', '{"bootId":"boot"}', '{"bootId":"boot","policies":[1]}']) {
    writeFileSync(file, text);
    assert.throws(() => SavedPolicies.open(file, 'boot'), CannotApply, text);
  }
  assert.throws(() => SavedPolicies.open(directory, 'boot'), CannotApply);
});

test('the number of policies is limited', () => {
  const kept = SavedPolicies.open(join(directory, 'many.json'), 'boot');
  for (let number = 0; !kept.full; number += 1) kept.keep(String(number));
  assert.equal(kept.policies.length, 64);
});
