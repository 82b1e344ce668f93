import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code } from '@kata-agent/ttrpc';
import { ByteBudget } from './byte-budget.js';

test('bytes beyond the budget are refused until others are given back', () => {
  const budget = new ByteBudget(10);
  const giveBack = budget.take(7);
  assert.throws(() => budget.take(4), { code: Code.ResourceExhausted });
  budget.take(3);
  giveBack();
  assert.equal(budget.used, 3);
  budget.take(7);
});
