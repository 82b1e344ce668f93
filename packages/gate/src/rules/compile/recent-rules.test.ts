import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentRules } from './recent-rules.js';

const rule = (expression: string) => ({ expression, methods: ['ExecProcess'] as const });

test('a rule that was checked is not compiled again, but for once', () => {
  const recent = new RecentRules();
  const checked = recent.check(rule('args == []'));
  assert.equal(recent.take(rule('args == []')), checked);
  assert.notEqual(recent.take(rule('args == []')), checked);
  const again = recent.check(rule('args == []'));
  assert.notEqual(recent.take({ ...rule('args == []'), methods: ['CreateContainer'] }), again);
});

test('rules that nobody takes are forgotten, the oldest first', () => {
  const recent = new RecentRules();
  const texts = Array.from({ length: 10 }, (_, index) => `args == ["${String(index).repeat(10_000)}"]`);
  const checked = texts.map((text) => recent.check(rule(text)));
  assert.equal(recent.take(rule(texts[9] ?? '')), checked[9]);
  assert.notEqual(recent.take(rule(texts[0] ?? '')), checked[0]);
});
