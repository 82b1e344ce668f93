import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { Revocations } from '../listeners/tls/revocations.js';
import { revokePeer } from './revoke-peer.js';

const none = { peer: '', serial: '', issuer: '' };
const codeOf = (code: Code) => (error: unknown) => error instanceof TtrpcError && error.code === code;

test('a revocation names a certificate, in few characters', () => {
  const revocations = new Revocations();
  for (const request of [
    none,
    { ...none, peer: 'cn:a', serial: '1', issuer: 'CN=b' },
    { ...none, serial: '1' },
    { ...none, issuer: 'CN=b' },
    { ...none, peer: '*' },
    { ...none, peer: 'nobody' },
    { ...none, serial: 'xyz', issuer: 'CN=b' },
    { ...none, serial: '1', issuer: 'b' },
    { ...none, peer: `cn:${'a'.repeat(5000)}` },
    { ...none, peer: `subject:CN=${'a'.repeat(4 << 20)}` },
    { ...none, serial: '1', issuer: `CN=${'a'.repeat(4 << 20)}` },
  ])
    assert.throws(() => revokePeer({ revocations }, request, {}), codeOf(Code.InvalidArgument));
});

test('the same revocation again takes no more space, and others are limited', () => {
  const revocations = new Revocations();
  for (let count = 0; count < 5000; count += 1) revokePeer({ revocations }, { ...none, peer: 'cn:a' }, {});
  for (let count = 1; count < 4096; count += 1)
    revokePeer({ revocations }, { ...none, serial: count.toString(16), issuer: 'CN=ca' }, {});
  revokePeer({ revocations }, { ...none, peer: 'cn:a' }, {});
  assert.throws(
    () => revokePeer({ revocations }, { ...none, peer: 'cn:b' }, {}),
    codeOf(Code.ResourceExhausted),
  );
});

test('without a tls:// listener there is nothing to revoke', () => {
  assert.throws(
    () => revokePeer({ revocations: undefined }, { ...none, peer: 'cn:a' }, {}),
    codeOf(Code.FailedPrecondition),
  );
});
