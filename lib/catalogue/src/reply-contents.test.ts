import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentService } from '@kata-agent/protocol/agent';
import { endpoints, replyContents } from './index.js';

test('each method has a row, and each field of its reply says what it tells (S40)', () => {
  assert.deepEqual([...replyContents.keys()], Object.keys(endpoints));
  for (const { name, output } of AgentService.methods) {
    const row = [...replyContents].find(([method]) => method === name)?.[1];
    assert.deepEqual(
      Object.keys(row?.fields ?? {}).sort(),
      output.fields.map((field) => field.name).sort(),
      `fields of ${output.name}, the reply to ${name}`,
    );
  }
});

test('what is withheld has a condition, and nothing else has one', () => {
  for (const [method, { fields, withheld, condition, errors }] of replyContents) {
    assert.equal(withheld === '', condition === '', method);
    for (const text of [...Object.values(fields), withheld, condition, errors]) {
      assert.doesNotMatch(text, /\|/, method);
      assert.doesNotMatch(text, /\.$/, method);
    }
  }
});
