import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Caller, callerOf, operatorFault } from './caller.js';

const connection: Caller = {
  listener: 'realm',
  peer: 'https realm',
  identity: { kind: 'tls', subject: 'CN=r' },
};
const trusted: Caller = { ...connection, realm: { relay: 'trusted' } };
const others: readonly Caller[] = [
  connection,
  { ...connection, realm: { relay: 'operator-tls', openConnection: async () => undefined } },
];
const naming = (...values: readonly string[]) => new Map([['kata-agent-operator', values]]);

test('a trusted server names the operator of each call', () => {
  const caller = callerOf({ connection: trusted, metadata: naming('uri:spiffe://example/ops/alice') });
  assert.equal(caller.identity.claimedOperator, 'uri:spiffe://example/ops/alice');
  assert.equal(caller.identity.subject, 'CN=r');
  assert.equal(caller.peer, trusted.peer);
  // A call of its own.
  assert.equal(callerOf({ connection: trusted, metadata: new Map() }), trusted);
  assert.equal(operatorFault({ connection: trusted, metadata: new Map() }), undefined);
});

for (const values of [
  ['alice', 'bob'],
  [],
  [''],
  ['a'.repeat(257)],
  ['al\nice'],
  ['al\u0000ice'],
  ['\u202ealice'],
  ['älice'],
])
  test(`an operator ${JSON.stringify(values).slice(0, 30)} is a fault of the call, and no claim`, () => {
    const call = { connection: trusted, metadata: naming(...values) };
    const fault = operatorFault(call) ?? assert.fail('no fault');
    assert.match(fault, /one value, of 1 to 256 characters/);
    for (const value of values) if (value !== '') assert.ok(!fault.includes(value));
    assert.equal(callerOf(call), trusted);
  });

test('at the bounds it is accepted', () => {
  for (const value of ['~', ' ', 'a'.repeat(256)])
    assert.equal(callerOf({ connection: trusted, metadata: naming(value) }).identity.claimedOperator, value);
});

test('on every other connection the metadata is ignored, whatever it is', () => {
  for (const other of others)
    for (const values of [['alice'], ['alice', 'bob'], ['al\nice']]) {
      const call = { connection: other, metadata: naming(...values) };
      assert.equal(callerOf(call), other);
      assert.equal(operatorFault(call), undefined);
    }
});
