import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  Authorizer,
  type Decision,
  type Gate,
  noAccess,
  PrivilegeGate,
  type RuleContext,
} from '@kata-agent/gate';
import { Policy } from './policy/policy.js';
import { Readers } from './readers.js';

const guest = { containerStatus: () => undefined, sandboxStatus: { id: '', containers: [], members: [] } };
const access = { ...noAccess, privilegedContainers: undefined };
const privileges = new PrivilegeGate({ settings: access, documents: [] });
const stream = { containerId: 'c', execId: 'c', stream: 'stdout' } as const;
const settings = { onDeniedRead: 'error', limits: { connections: 64 }, management: [] } as const;
const listeners = [{ name: 'host', address: 'unix:///x', peers: [['host']], ...settings }];
const stranger = { listener: 'host', peer: 'pid 1 uid 7', identity: { kind: 'unix', uid: 7 } } as const;

/** Lists that serve stdout, and one rule for it. */
function readers(served: boolean, rule?: (context: RuleContext) => boolean): Readers {
  const decide = (listener: string, method: string): Decision =>
    served && method === 'ReadStdout'
      ? { outcome: 'allow', listener, method, reason: '' }
      : { outcome: 'deny', code: 'KA3001', listener, method, reason: '' };
  const gate: Gate = { decide, served: () => [], tighten: () => gate };
  const book = {
    rules: [],
    hasRulesFor: () => rule !== undefined,
    decide: (listed: Decision, _request: unknown, context: RuleContext): Decision =>
      rule?.(context) === false ? { ...listed, outcome: 'deny', code: 'KA3101', rule: 'r' } : listed,
  };
  return new Readers(new Policy(new Authorizer(gate, privileges, book)), listeners);
}

describe('whether a stream has a reader (R15)', () => {
  it('no, if the lists do not serve it', () => {
    assert.equal(readers(false).mayRead(stream, guest), false);
    assert.equal(readers(false, () => true).mayRead(stream, guest), false);
    assert.equal(readers(true).mayRead({ ...stream, stream: 'stderr' }, guest), false);
  });

  it('yes, if the lists serve it and there is no rule', () => {
    assert.equal(readers(true).mayRead(stream, guest), true);
  });

  it('with a rule, if the rule allows a peer of the listener', () => {
    assert.equal(readers(true, () => false).mayRead(stream, guest), false);
    assert.equal(readers(true, ({ peer }) => peer.uid === 0).mayRead(stream, guest), true);
  });

  it('with a rule, if the rule allows a connected peer', () => {
    const found = readers(true, ({ peer }) => peer.uid === 7);
    assert.equal(found.mayRead(stream, guest), false);
    found.joined(stranger);
    assert.equal(found.mayRead(stream, guest), true);
    found.left(stranger);
    assert.equal(found.mayRead(stream, guest), false);
  });

  it('with a rule, if the rule allows an operator for whom a trusted server has called', () => {
    const found = readers(true, ({ peer }) => peer.claimedOperator === 'alice');
    const server = { ...stranger, realm: { relay: 'trusted' } } as const;
    const as = (claimedOperator: string) => ({
      ...server,
      identity: { ...server.identity, claimedOperator },
    });
    found.joined(server);
    found.named(server, server);
    found.named(server, as('bob'));
    assert.equal(found.mayRead(stream, guest), false);
    found.named(server, as('alice'));
    assert.equal(found.mayRead(stream, guest), true);
    // A server can name any number of operators.
    for (let other = 0; other < 16; other += 1) found.named(server, as(`other ${other}`));
    assert.equal(found.mayRead(stream, guest), false);
    found.named(server, as('alice'));
    found.left(server);
    assert.equal(found.mayRead(stream, guest), false);
  });

  it('the server of operators reads nothing itself', () => {
    const found = readers(true, ({ peer }) => peer.uid === 7);
    found.joined({ ...stranger, realm: { relay: 'operator-tls', openConnection: async () => undefined } });
    assert.equal(found.mayRead(stream, guest), false);
  });
});
