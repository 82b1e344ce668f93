import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CannotApply } from './cannot-apply.js';
import { KeptPolicies } from './kept-policies.js';

const folder = mkdtempSync(join(tmpdir(), 'kept-policies-'));
after(() => rmSync(folder, { recursive: true }));

test('what was kept is there for the next agent of this boot, each text once, in order', () => {
  const file = join(folder, 'state/policies.json');
  const first = KeptPolicies.open(file, 'boot');
  for (const policy of ['a', 'b', 'a']) first.keep(policy);
  assert.deepEqual(KeptPolicies.open(file, 'boot').policies, ['a', 'b']);
  assert.deepEqual(KeptPolicies.open(file, 'another').policies, []);
});

test('a file that does not tell is fatal', () => {
  const file = join(folder, 'policies.json');
  for (const text of ['', '{', 'null', '[]', '{"bootId":"boot"}', '{"bootId":"boot","policies":[1]}']) {
    writeFileSync(file, text);
    assert.throws(() => KeptPolicies.open(file, 'boot'), CannotApply, text);
  }
  assert.throws(() => KeptPolicies.open(folder, 'boot'), CannotApply);
});

test('no more than a number of them', () => {
  const kept = KeptPolicies.open(join(folder, 'many.json'), 'boot');
  for (let number = 0; !kept.full; number += 1) kept.keep(String(number));
  assert.equal(kept.policies.length, 64);
});
