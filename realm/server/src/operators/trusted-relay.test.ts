import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relayedMetadata } from './trusted-relay.js';

test('of the operator’s metadata only the context of a trace remains, and its name is the realm’s', () => {
  const metadata = new Map([
    ['traceparent', ['00-1-2-01', 'a second value']],
    ['baggage', ['x'.repeat(8_193)]],
    ['tracestate', []],
    ['kata-agent-operator', ['uri:spiffe://example/ops/root']],
    ['authorization', ['secret']],
  ]);
  assert.deepEqual(relayedMetadata(metadata, 'cn:alice'), {
    traceparent: '00-1-2-01',
    'kata-agent-operator': 'cn:alice',
  });
  assert.deepEqual(relayedMetadata(new Map(), 'cn:alice'), { 'kata-agent-operator': 'cn:alice' });
});
