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
    assert.throws(() => revokePeer({ revocations }, request, operator('ann')), codeOf(Code.InvalidArgument));
});

const operator = (name: string): Parameters<typeof revokePeer>[2] => ({
  listener: 'realm',
  identity: { kind: 'tls', subject: `CN=${name}` },
});
const server: Parameters<typeof revokePeer>[2] = {
  listener: 'realm',
  identity: { kind: 'tls', subject: 'CN=realm' },
  realm: { relay: 'trusted' },
};
const claimed = (name: string): Parameters<typeof revokePeer>[2] => ({
  ...server,
  identity: { ...server.identity, claimedOperator: name },
});

/** Revokes other certificates for a caller until there is no place. Returns how many it revoked. */
function fill(revocations: Revocations, caller: Parameters<typeof revokePeer>[2], issuer: string): number {
  for (let count = 0; ; count += 1) {
    try {
      revokePeer(
        { revocations },
        { ...none, serial: (count + 1).toString(16), issuer: `CN=${issuer}` },
        caller,
      );
    } catch (error) {
      assert.ok(codeOf(Code.ResourceExhausted)(error));
      return count;
    }
  }
}

test('the same revocation again takes no more space', () => {
  const revocations = new Revocations();
  const revoke = (): unknown => revokePeer({ revocations }, { ...none, peer: 'cn:a' }, operator('ann'));
  for (let count = 0; count < 5000; count += 1) revoke();
  assert.equal(fill(revocations, operator('ann'), 'ca'), 1023);
  revoke();
});

for (const [what, hostile, other] of [
  ['an operator', operator('eve'), operator('ann')],
  ['an operator of a trusted server', claimed('eve'), claimed('ann')],
] as const)
  test(`${what} who revokes as many as it can is revoked by another, and by the server (S44)`, () => {
    const revocations = new Revocations();
    assert.equal(fill(revocations, hostile, 'junk'), 1024);
    revokePeer({ revocations }, { ...none, peer: 'cn:eve' }, other);
    // The server has its own places, as many as a realm has revocations of an entry.
    assert.equal(fill(revocations, server, 'entry'), 4096);
  });

test('all callers together are limited, and leave the server its places', () => {
  const revocations = new Revocations();
  const made = ['a', 'b', 'c', 'd', 'e'].map((name) => fill(revocations, operator(name), name));
  assert.deepEqual(made, [1024, 1024, 1024, 1024, 0]);
  assert.equal(fill(revocations, server, 'entry'), 4096);
});

test('without a tls:// listener there is nothing to revoke', () => {
  assert.throws(
    () => revokePeer({ revocations: undefined }, { ...none, peer: 'cn:a' }, operator('ann')),
    codeOf(Code.FailedPrecondition),
  );
});
