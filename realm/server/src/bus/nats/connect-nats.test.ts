import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerCertificate } from 'node:tls';
import { serverIdentity } from './connect-nats.js';

function certificate(subjectaltname: string): PeerCertificate {
  return { subject: { CN: 'x' }, subjectaltname } as unknown as PeerCertificate;
}

test('a server has the name or the address that --bus names', () => {
  const named = serverIdentity(['nats.example']);
  assert.equal(named('nats.example', certificate('DNS:nats.example')), undefined);
  assert.match(String(named('nats.example', certificate('DNS:localhost'))), /altnames/);
  assert.match(String(named('other.example', certificate('DNS:other.example'))), /does not name/);
  // TLS has no name for an address, and Node.js says localhost then.
  assert.match(String(named('localhost', certificate('DNS:localhost'))), /does not name localhost/);
  const addressed = serverIdentity(['10.0.0.2', 'fd00::1']);
  assert.equal(addressed('localhost', certificate('IP Address:10.0.0.2')), undefined);
  assert.equal(addressed('localhost', certificate('IP Address:FD00:0:0:0:0:0:0:1')), undefined);
  for (const other of ['DNS:localhost', 'IP Address:127.0.0.1', 'DNS:10.0.0.2', 'DNS:*'])
    assert.ok(addressed('localhost', certificate(other)) instanceof Error, other);
  const local = serverIdentity(['localhost']);
  assert.equal(local('localhost', certificate('DNS:localhost')), undefined);
  assert.ok(local('localhost', certificate('IP Address:127.0.0.1')) instanceof Error);
});
