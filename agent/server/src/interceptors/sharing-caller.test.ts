import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../caller/caller.js';
import { sharingCaller } from './sharing-caller.js';

const of = (connection: Caller, operator?: string): string | undefined =>
  sharingCaller(
    { connection, metadata: new Map(operator === undefined ? [] : [['kata-agent-operator', [operator]]]) },
    'host',
  );
const unix: Caller = { listener: 'host', peer: 'pid 1 uid 0', identity: { kind: 'unix', uid: 0 } };
const alice: Caller = {
  listener: 'tenant',
  peer: 'tls alice',
  identity: { kind: 'tls', subject: 'CN=alice', sans: [], fingerprint: 'sha256:1' },
};
const realm: Caller = { ...alice, listener: 'realm', realm: { relay: 'trusted' } };

test("Kata's runtime shares with nobody; others are told apart as they are authenticated", () => {
  assert.equal(of(unix), undefined);
  const keys = [
    of({ ...unix, listener: 'tenant' }),
    of(alice),
    of({ ...alice, listener: 'host' }),
    of({ ...alice, identity: { ...alice.identity, subject: 'CN=bob' } }),
    of(realm),
    of(realm, 'cn:alice'),
    of(realm, 'cn:bob'),
  ];
  assert.ok(!keys.includes(undefined));
  assert.equal(new Set(keys).size, keys.length);
});

test('metadata, another connection and a renewed certificate are no further share', () => {
  assert.equal(of(alice, 'cn:bob'), of(alice));
  const renewed = { ...alice, peer: 'tls again', identity: { ...alice.identity, fingerprint: 'sha256:2' } };
  assert.equal(of(renewed), of(alice));
});
