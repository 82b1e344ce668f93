import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Decision, type Gate, PrivilegeGate, type RuleContext } from '@kata-agent/gate';
import { Policy } from './policy.js';
import { Readers } from './readers.js';

const guest = { containerFacts: () => undefined, sandboxFacts: { id: '', containers: [], members: [] } };
const settings = { privilegedContainers: undefined, devices: [], guestPaths: [] };
const privileges = new PrivilegeGate({ settings, documents: [] });
const stream = { containerId: 'c', execId: 'c', stream: 'stdout' } as const;
const listeners = [{ name: 'host', address: 'unix:///x', peers: ['host'] }];
const stranger = { listener: 'host', peer: 'pid 1 uid 7', identity: { kind: 'unix', uid: 7 } } as const;

/** Lists that serve stdout, and one rule on it. */
function readers(served: boolean, rule?: (context: RuleContext) => boolean): Readers {
  const decide = (listener: string, method: string): Decision => ({
    outcome: served && method === 'ReadStdout' ? 'allow' : 'deny',
    listener,
    method,
    reason: '',
  });
  const gate: Gate = { decide, served: () => [], tighten: () => gate };
  const book = {
    rules: [],
    hasRulesFor: () => rule !== undefined,
    decide: (listed: Decision, _request: unknown, context: RuleContext): Decision =>
      rule?.(context) === false ? { ...listed, outcome: 'deny', rule: 'r' } : listed,
  };
  return new Readers(new Policy(gate, privileges, book), listeners);
}

describe('who may read what a workload writes (R15)', () => {
  it('is nobody when the lists serve it to nobody', () => {
    assert.equal(readers(false).mayRead(stream, guest), false);
    assert.equal(readers(false, () => true).mayRead(stream, guest), false);
    assert.equal(readers(true).mayRead({ ...stream, stream: 'stderr' }, guest), false);
  });

  it('is somebody when the lists serve it and no rule stands', () => {
    assert.equal(readers(true).mayRead(stream, guest), true);
  });

  it('is, under a rule, whom the rule would let through: those that the listener is for', () => {
    assert.equal(readers(true, () => false).mayRead(stream, guest), false);
    assert.equal(readers(true, ({ peer }) => peer.uid === 0).mayRead(stream, guest), true);
  });

  it('and those who are connected', () => {
    const found = readers(true, ({ peer }) => peer.uid === 7);
    assert.equal(found.mayRead(stream, guest), false);
    found.joined(stranger);
    assert.equal(found.mayRead(stream, guest), true);
    found.left(stranger);
    assert.equal(found.mayRead(stream, guest), false);
  });
});
