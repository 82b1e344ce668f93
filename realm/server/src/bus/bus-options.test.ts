import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBusServers } from './bus-options.js';

test('servers of a bus have TLS, or are loopback addresses', () => {
  assert.deepEqual(parseBusServers('nats://127.0.0.1:4223,[::1]'), {
    tls: false,
    servers: [
      { host: '127.0.0.1', port: 4223 },
      { host: '::1', port: 4222 },
    ],
  });
  assert.deepEqual(parseBusServers('tls://nats-1.example:4222,10.0.0.2'), {
    tls: true,
    servers: [
      { host: 'nats-1.example', port: 4222 },
      { host: '10.0.0.2', port: 4222 },
    ],
  });
  for (const plain of [
    'nats://10.0.0.2',
    'nats://localhost',
    'nats://127.0.0.1,nats.example',
    'nats://[::2]',
    'nats://127.0.0.999',
    'nats://127.1',
  ])
    assert.throws(() => parseBusServers(plain), /is not a loopback address/);
  for (const wrong of [
    '127.0.0.1:4222',
    'http://127.0.0.1',
    'nats://',
    'nats://a b',
    'tls://user:secret@host',
  ])
    assert.throws(() => parseBusServers(wrong), /must be nats|is not HOST:PORT/);
  for (const wrong of ['tls://host:0', 'tls://host:65536', 'tls://host:x', 'tls://host,', 'tls://[::1'])
    assert.throws(() => parseBusServers(wrong), /is not HOST:PORT/);
});
