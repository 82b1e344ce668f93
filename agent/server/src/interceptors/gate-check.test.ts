import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoints, methodNames } from '@kata-agent/catalogue';
import type { ListenerSettings } from '@kata-agent/config';
import { AgentService } from '@kata-agent/protocol/agent';
import { Relay } from '@kata-agent/protocol/relay';
import type { Caller, Realm } from '../caller.js';
import { demandWitnesses, relayDecision } from './gate-check.js';

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

const tls = { clientCa: '' } as NonNullable<ListenerSettings['tls']>;

const dial = { serverCa: '' } as NonNullable<ListenerSettings['dial']>;

test('changes are refused where the host calls; what reads or ends something is served', () => {
  const listeners = [{ name: 'host' }, { name: 'local' }, { name: 'tenant', tls }, { name: 'realm', dial }];
  const lacks = demandWitnesses(listeners, { isOverdue: () => true });
  for (const method of methodNames) {
    const { changes, ends = false } = endpoints[method];
    for (const { name } of listeners)
      assert.equal(
        lacks(name, method),
        changes && !ends && ['host', 'local'].includes(name),
        `${name} ${method}`,
      );
  }
  for (const method of ['CreateContainer', 'ExecProcess', 'SetPolicy', 'WriteStdin'] as const)
    assert.ok(lacks('host', method), method);
  for (const method of ['SignalProcess', 'RemoveContainer', 'DestroySandbox', 'ReadStdout'] as const)
    assert.ok(!lacks('host', method), method);
});

test('the first listener is that of the host, whatever its address', () => {
  const lacks = demandWitnesses([{ name: 'host', tls }], { isOverdue: () => true });
  assert.ok(lacks('host', 'CreateContainer'));
});

test('nothing is refused while the witnesses are there, or without any', () => {
  assert.ok(!demandWitnesses([{ name: 'host' }], { isOverdue: () => false })('host', 'CreateContainer'));
  assert.ok(!demandWitnesses([{ name: 'host' }], undefined)('host', 'CreateContainer'));
});
