import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentService } from '@kata-agent/protocol/agent';
import { Relay } from '@kata-agent/protocol/relay';
import type { Caller, Realm } from '../caller/caller.js';
import { relayDecision } from './relay-gate.js';

const callerWith = (realm?: Realm): Pick<Caller, 'listener' | 'realm'> => ({
  listener: 'r',
  ...(realm === undefined ? {} : { realm }),
});
const realm = callerWith({ relay: 'operator-tls', openConnection: async () => undefined });
const others = [callerWith(), callerWith({ relay: 'trusted' })];

test('a server with operator-tls may open connections, and calls no method of AgentService', () => {
  assert.equal(relayDecision(realm, Relay.typeName, 'OpenConnection')?.outcome, 'allow');
  for (const { name } of AgentService.methods) {
    const decision = relayDecision(realm, AgentService.typeName, name);
    assert.equal(decision?.outcome, 'deny', name);
    assert.equal(decision.code, 'KA3008');
    // Not an end of file, which a listener can answer to denied reads.
    assert.equal(decision.onDeniedRead, 'error');
  }
});

test('other services and unknown methods are decided as on other connections', () => {
  for (const [service, method] of [
    [Relay.typeName, 'Other'],
    [AgentService.typeName, 'Other'],
    ['kata_agent.Management', 'Describe'],
    ['grpc.Health', 'Check'],
  ] as const)
    assert.equal(relayDecision(realm, service, method), undefined);
});

test('nobody else has the relay', () => {
  for (const caller of others)
    for (const [service, method] of [
      [Relay.typeName, 'OpenConnection'],
      [AgentService.typeName, 'ExecProcess'],
    ] as const)
      assert.equal(relayDecision(caller, service, method), undefined);
});
