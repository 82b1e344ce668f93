import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RefusalLog } from './callers-engine.js';
import { refusalCause } from './authenticate.js';

test('each reason is logged with its text, at its first time and at doublings, whatever else is refused', () => {
  const lines: (Readonly<Record<string, unknown>> | undefined)[] = [];
  const log = new RefusalLog('tenant', (_level, _message, fields) => lines.push(fields));
  for (let count = 0; count < 1_000; count += 1) {
    const { reason, text } = refusalCause('overload');
    log.add(reason, text, 'tls 10.0.0.1');
  }
  const { reason, text } = refusalCause('alpn');
  log.add(reason, text, 'tls 10.0.0.2');
  assert.equal(lines.length, 10 + 1);
  assert.deepEqual(lines.at(-1), {
    code: 'KA3203',
    listener: 'tenant',
    reason: 'alpn',
    why: 'the client does not offer the protocol of this listener (ALPN)',
    peer: 'tls 10.0.0.2',
    times: 1,
  });
});
