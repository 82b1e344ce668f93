import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code } from '@kata-agent/ttrpc';
import { ByteBudget, forwardedMetadata } from './forwarded-calls.js';

test('bytes beyond the budget are refused until others are given back', () => {
  const budget = new ByteBudget(10);
  const giveBack = budget.take(7);
  assert.throws(() => budget.take(4), { code: Code.ResourceExhausted });
  budget.take(3);
  giveBack();
  assert.equal(budget.used, 3);
  budget.take(7);
});

test('the trace context is passed on, and nothing else', () => {
  const found = forwardedMetadata(
    new Map([
      ['traceparent', ['00-1-2-01']],
      ['tracestate', ['a', 'b']],
      ['baggage', ['a=1\n']],
      ['kata-agent-operator', ['alice']],
      ['__proto__', ['x']],
    ]),
  );
  assert.deepEqual(found, { traceparent: '00-1-2-01' });
  assert.deepEqual(forwardedMetadata(new Map([['baggage', ['x'.repeat(8193)]]])), {});
  assert.deepEqual(forwardedMetadata(new Map([['baggage', ['a=1']]])), { baggage: 'a=1' });
});
