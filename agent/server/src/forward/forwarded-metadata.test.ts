import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forwardedMetadata } from './forwarded-metadata.js';

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
